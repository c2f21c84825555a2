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
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The activations of all calibration tokens between two steps. As many batches as fit stay in the
 * memory of a device that has its own; the others are in host memory, or in a mapped file where
 * they don't fit there either. A batch is opened, worked on, and closed; what isn't on the device
 * is copied there and back.
 */
final class ActivationStore implements AutoCloseable {
  /** Whether what a step hands to the next outlives the visit of a batch. */
  enum Side {
    /** Steps are run one at a time over all batches. */
    KEPT,
    /** All steps of a layer are run while a batch is open. */
    TRANSIENT
  }

  /** Where a batch's activations are between visits. */
  private sealed interface Held {}

  private record OnDevice(Tensor hidden, Optional<Tensor> side) implements Held {}

  private record OnHost(HostTensor hidden, Optional<HostTensor> side) implements Held {}

  private final Device device;
  private final Architecture architecture;
  private final List<Batch> batches;
  private final Scope resident;
  private final Arena arena;
  private final List<Held> held = new ArrayList<>();

  private ActivationStore(
      Device device, Architecture architecture, List<Batch> batches, Arena arena) {
    this.device = device;
    this.architecture = architecture;
    this.batches = batches;
    this.resident = device.openScope();
    this.arena = arena;
  }

  /** Room for the batches on a device that holds no other store. */
  static ActivationStore open(
      Device device,
      Architecture architecture,
      List<Batch> batches,
      Side side,
      Resources resources) {
    return open(
        device,
        architecture,
        batches,
        side,
        resources,
        roomOnDevice(device, architecture, batches, 1));
  }

  /** Bytes for each of {@code stores} stores of forward passes with those batches. */
  static long roomOnDevice(
      Device device, Architecture architecture, List<Batch> batches, int stores) {
    long longest = batches.stream().mapToLong(batch -> batch.ids().length).max().orElse(0);
    boolean own = device.memoryLimit().isPresent();
    long layer = WorkingMemory.ofLayer(architecture, longest, own);
    long working = stores * Math.max(layer, WorkingMemory.ofHead(architecture));
    return WorkingMemory.roomForActivations(device, working) / stores;
  }

  /**
   * Room for the batches, on the device, in memory or in a file.
   *
   * @param room bytes of the device's own memory to use
   */
  @SuppressWarnings("MustBeClosedChecker") // owned by the store, closed with it
  static ActivationStore open(
      Device device,
      Architecture architecture,
      List<Batch> batches,
      Side side,
      Resources resources,
      long room) {
    Arena arena = Arena.ofShared();
    ActivationStore store = new ActivationStore(device, architecture, batches, arena);
    boolean opened = false;
    try {
      int onDevice = fitting(architecture, batches, side, room);
      batches.subList(0, onDevice).forEach(batch -> store.holdOnDevice(batch, side));
      List<Batch> others = batches.subList(onDevice, batches.size());
      long bytes = bytes(architecture, tokens(others), side);
      MemorySegment memory =
          bytes <= resources.activationMemory()
              ? arena.allocate(bytes, 64)
              : spill(resources.spillFolder(), bytes, arena);
      store.holdOnHost(others, memory, side);
      opened = true;
      return store;
    } finally {
      if (!opened) {
        store.resident.close();
        arena.close();
      }
    }
  }

  /** How many of the batches, from the first on, fit in that many bytes. */
  private static int fitting(Architecture architecture, List<Batch> batches, Side side, long room) {
    int count = 0;
    long tokens = 0;
    for (Batch batch : batches) {
      tokens += batch.ids().length;
      if (bytes(architecture, tokens, side) > room) {
        break;
      }
      count++;
    }
    return count;
  }

  /** Bytes of the batches that don't fit in that many bytes of a device's memory. */
  static long bytesOnHost(Architecture architecture, List<Batch> batches, Side side, long room) {
    int onDevice = fitting(architecture, batches, side, room);
    return bytes(architecture, tokens(batches.subList(onDevice, batches.size())), side);
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
        reserve(channel, bytes);
        return channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
      }
    } catch (IOException e) {
      throw new QuenchException(
          "can't make a file of %d bytes for the activations in %s: %s. Free some space, or use fewer samples."
              .formatted(bytes, folder, e.getMessage()),
          e);
    }
  }

  /**
   * Fills a file with zeros: a disk that has no room for it says so here, and not with a fault when
   * its pages are first written to.
   */
  private static void reserve(FileChannel channel, long bytes) throws IOException {
    ByteBuffer zeros = ByteBuffer.allocateDirect((int) Math.min(bytes, 1 << 22));
    for (long left = bytes; left > 0; ) {
      left -= channel.write(zeros.clear().limit((int) Math.min(left, zeros.capacity())));
    }
  }

  private void holdOnDevice(Batch batch, Side kept) {
    long tokens = batch.ids().length;
    held.add(
        new OnDevice(
            resident.allocate(DType.F32, tokens, architecture.hiddenSize()),
            kept == Side.KEPT
                ? Optional.of(resident.allocate(DType.F32, tokens, sideWidth()))
                : Optional.empty()));
  }

  private void holdOnHost(List<Batch> others, MemorySegment memory, Side kept) {
    long offset = 0;
    for (Batch batch : others) {
      long tokens = batch.ids().length;
      HostTensor hidden = tensor(memory, offset, tokens, architecture.hiddenSize());
      offset += hidden.data().byteSize();
      Optional<HostTensor> side = Optional.empty();
      if (kept == Side.KEPT) {
        side = Optional.of(tensor(memory, offset, tokens, sideWidth()));
        offset += tokens * sideWidth() * Float.BYTES;
      }
      held.add(new OnHost(hidden, side));
    }
  }

  private long sideWidth() {
    return DecoderLayer.sideWidth(architecture);
  }

  private static HostTensor tensor(MemorySegment memory, long offset, long rows, long columns) {
    return new HostTensor(
        DType.F32, Shape.of(rows, columns), memory.asSlice(offset, rows * columns * Float.BYTES));
  }

  int batches() {
    return batches.size();
  }

  /** Calibration rows of all batches. */
  long rows() {
    return batches.stream().mapToLong(batch -> batch.starts().length - 1L).sum();
  }

  /**
   * The residual stream of a batch as it was when the batch was last closed: F32 [tokens, hidden].
   */
  HostTensor hidden(int index) {
    device.synchronize();
    return switch (held.get(index)) {
      case OnHost(HostTensor hidden, _) -> hidden;
      case OnDevice(Tensor hidden, _) ->
          device.onHost(hidden, Shape.of(hidden.rows(), hidden.columns()), Arena.ofAuto());
    };
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
      Tensor hidden;
      Optional<Tensor> side;
      switch (held.get(index)) {
        case OnDevice here -> {
          hidden = here.hidden;
          side = here.side;
        }
        case OnHost there -> {
          hidden = scope.upload(there.hidden);
          side = there.side.map(scope::upload);
        }
      }
      this.tokens =
          new TokenBatch(
              hidden,
              side.orElseGet(() -> scope.allocate(DType.F32, batch.ids().length, sideWidth())),
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
      Tensor copy = scope.allocate(DType.F32, tokens.tokens(), architecture.hiddenSize());
      device.convert(tokens.hidden(), copy);
      Tensor sideCopy = scope.allocate(DType.F32, tokens.tokens(), sideWidth());
      return new TokenBatch(copy, sideCopy, tokens.positions(), tokens.starts());
    }

    @Override
    public void close() {
      try (scope) {
        if (!device.sharesHostMemory() && held.get(index) instanceof OnHost there) {
          device.download(tokens.hidden(), there.hidden);
          there.side.ifPresent(side -> device.download(tokens.side(), side));
        }
      }
    }
  }

  Visit visit(int index) {
    return new Visit(index);
  }

  @Override
  public void close() {
    device.synchronize();
    resident.close();
    arena.close();
  }
}
