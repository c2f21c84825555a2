package dev.quench.pipeline;

import dev.quench.QuenchException;
import dev.quench.calibration.Batch;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.model.Architecture;
import dev.quench.model.DecoderLayer;
import dev.quench.model.TokenBatch;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/**
 * The activations of all calibration tokens between two steps, in host memory, or in a mapped file
 * where they don't fit. A batch is opened, worked on, and closed; devices with memory of their own
 * copy it there and back.
 */
final class ActivationStore implements AutoCloseable {
  /** Whether what a step hands to the next outlives the visit of a batch. */
  enum Side {
    /** Steps are run one at a time over all batches. */
    KEPT,
    /** All steps of a layer are run while a batch is open. */
    TRANSIENT
  }

  private final Device device;
  private final List<Batch> batches;
  private final long hiddenWidth;
  private final long sideWidth;
  private final Arena arena;
  private final List<HostTensor> hidden = new ArrayList<>();
  private final List<HostTensor> side = new ArrayList<>();

  private ActivationStore(
      Device device, Architecture architecture, List<Batch> batches, Arena arena) {
    this.device = device;
    this.batches = batches;
    this.hiddenWidth = architecture.hiddenSize();
    this.sideWidth = DecoderLayer.sideWidth(architecture);
    this.arena = arena;
  }

  /** Room for the batches, in memory or in a file, as {@code resources} allow. */
  @SuppressWarnings("MustBeClosedChecker") // owned by the store, closed with it
  static ActivationStore open(
      Device device,
      Architecture architecture,
      List<Batch> batches,
      Side side,
      Resources resources) {
    Arena arena = Arena.ofShared();
    boolean opened = false;
    try {
      ActivationStore store = new ActivationStore(device, architecture, batches, arena);
      long bytes = bytes(architecture, tokens(batches), side);
      MemorySegment memory =
          bytes <= resources.activationMemory()
              ? arena.allocate(bytes, 64)
              : spill(resources.spillFolder(), bytes, arena);
      store.cut(memory, side);
      opened = true;
      return store;
    } finally {
      if (!opened) {
        arena.close();
      }
    }
  }

  /** Bytes that the activations of that many tokens take. */
  static long bytes(Architecture architecture, long tokens, Side side) {
    long width =
        architecture.hiddenSize() + (side == Side.KEPT ? DecoderLayer.sideWidth(architecture) : 0);
    return Math.multiplyExact(tokens, width * Float.BYTES);
  }

  static long tokens(List<Batch> batches) {
    return batches.stream().mapToLong(batch -> batch.ids().length).sum();
  }

  private static MemorySegment spill(Path folder, long bytes, Arena arena) {
    try {
      Files.createDirectories(folder);
      Path file = Files.createTempFile(folder, "activations", ".tmp");
      try (FileChannel channel =
          FileChannel.open(
              file,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              StandardOpenOption.DELETE_ON_CLOSE)) {
        return channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
      }
    } catch (IOException e) {
      throw new QuenchException(
          "can't make a file of %d bytes for the activations in %s: %s. Free some space, or use fewer samples."
              .formatted(bytes, folder, e.getMessage()),
          e);
    }
  }

  private void cut(MemorySegment memory, Side kept) {
    long offset = 0;
    for (Batch batch : batches) {
      long tokens = batch.ids().length;
      hidden.add(tensor(memory, offset, tokens, hiddenWidth));
      offset += tokens * hiddenWidth * Float.BYTES;
      if (kept == Side.KEPT) {
        side.add(tensor(memory, offset, tokens, sideWidth));
        offset += tokens * sideWidth * Float.BYTES;
      }
    }
  }

  private static HostTensor tensor(MemorySegment memory, long offset, long rows, long columns) {
    return new HostTensor(
        DType.F32, Shape.of(rows, columns), memory.asSlice(offset, rows * columns * Float.BYTES));
  }

  int batches() {
    return batches.size();
  }

  /**
   * The residual stream of a batch as it was when the batch was last closed: F32 [tokens, hidden].
   */
  HostTensor hidden(int index) {
    device.synchronize();
    return hidden.get(index);
  }

  Batch batch(int index) {
    return batches.get(index);
  }

  /** A batch on the device. Closing it keeps what was written to it. */
  final class Visit implements AutoCloseable {
    private final int index;
    private final Scope scope;
    private final TokenBatch tokens;

    private Visit(int index) {
      this.index = index;
      this.scope = device.openScope();
      Batch batch = batches.get(index);
      Tensor sideTensor =
          side.isEmpty()
              ? scope.allocate(DType.F32, batch.ids().length, sideWidth)
              : scope.upload(side.get(index));
      this.tokens =
          new TokenBatch(
              scope.upload(hidden.get(index)),
              sideTensor,
              scope.ints(batch.positions()),
              batch.starts());
    }

    TokenBatch tokens() {
      return tokens;
    }

    /** Memory that lives as long as the visit. */
    Scope scope() {
      return scope;
    }

    /** A copy of the batch that lives as long as the visit; changes to it are lost. */
    TokenBatch scratchCopy() {
      Tensor copy = scope.allocate(DType.F32, tokens.tokens(), hiddenWidth);
      device.convert(tokens.hidden(), copy);
      Tensor sideCopy = scope.allocate(DType.F32, tokens.tokens(), sideWidth);
      return new TokenBatch(copy, sideCopy, tokens.positions(), tokens.starts());
    }

    @Override
    public void close() {
      if (!device.sharesHostMemory()) {
        device.download(tokens.hidden(), hidden.get(index));
        if (!side.isEmpty()) {
          device.download(tokens.side(), side.get(index));
        }
      }
      scope.close();
    }
  }

  Visit visit(int index) {
    return new Visit(index);
  }

  @Override
  public void close() {
    device.synchronize();
    arena.close();
  }
}
