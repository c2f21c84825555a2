package dev.quench.format;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorReader;
import dev.quench.device.Device;
import dev.quench.device.DeviceException;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.model.WeightSource;
import dev.quench.quantization.QuantizationArgs.Strategy;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The weights of a checkpoint, compressed or not: compressed ones are dequantized when they are
 * loaded.
 */
public final class StoredWeights implements WeightSource {
  private final Device device;
  private final TensorReader reader;
  private final Map<String, WeightLayout> compressed;
  private final Map<String, Ahead> ahead = new HashMap<>();

  /** A tensor that was asked for early: on its way to the device. */
  private record Ahead(HostTensor host, Scope scope, Tensor tensor) {}

  /**
   * @param compressed layouts of the compressed weights by the name that the weight has in an
   *     uncompressed checkpoint
   */
  public StoredWeights(Device device, TensorReader reader, Map<String, WeightLayout> compressed) {
    this.device = device;
    this.reader = reader;
    this.compressed = Map.copyOf(compressed);
  }

  @Override
  public Tensor load(String name, long rows, long columns, Scope scope) {
    try {
      Tensor target = scope.allocate(DType.F32, rows, columns);
      load(name, rows, columns, target);
      return target;
    } catch (DeviceException e) {
      throw e.during("loading " + name);
    }
  }

  private void load(String name, long rows, long columns, Tensor target) {
    Ahead early = ahead.remove(name);
    WeightLayout layout = compressed.get(name);
    if (early != null) {
      try (Scope staging = early.scope) {
        requireWeight(name, early.host, rows, columns);
        device.convert(early.tensor, target);
      }
    } else if (layout != null) {
      requireShape(name, layout, rows, columns);
      try (Arena arena = Arena.ofShared();
          Scope staging = device.openScope()) {
        decoder()
            .decode(layout, part -> expected(layout, part, arena), staging)
            .dequantize(device, target);
      }
    } else {
      try (Arena arena = Arena.ofShared();
          Scope staging = device.openScope()) {
        HostTensor host = reader.read(name, arena);
        requireWeight(name, host, rows, columns);
        device.convert(staging.upload(host), target);
      }
    }
  }

  @Override
  public void prefetch(List<String> names) {
    if (device.sharesHostMemory()) {
      return;
    }
    for (String name : names) {
      if (!compressed.containsKey(name) && !ahead.containsKey(name)) {
        HostTensor host = reader.read(name, Arena.ofAuto());
        Scope scope = device.openScope();
        ahead.put(name, new Ahead(host, scope, scope.upload(host)));
      }
    }
  }

  @Override
  public void gatherRows(String name, long rows, long columns, int[] index, Tensor target) {
    WeightLayout layout = compressed.get(name);
    try (Arena arena = Arena.ofShared();
        Scope staging = device.openScope()) {
      if (layout != null) {
        requireShape(name, layout, rows, columns);
        gatherRows(layout, index, target, arena, staging);
        return;
      }
      HostTensor host = reader.read(name, arena);
      requireWeight(name, host, rows, columns);
      if (device.sharesHostMemory()) {
        device.gatherRows(staging.upload(host), staging.ints(index), target);
      } else {
        // The rows that are wanted, not the whole matrix, go to the device.
        device.convert(staging.upload(gathered(host, index, arena)), target);
      }
    }
  }

  private void gatherRows(
      WeightLayout layout, int[] index, Tensor target, Arena arena, Scope staging) {
    if (layout.args().strategy() == Strategy.BLOCK) {
      Tensor table = staging.allocate(DType.F32, layout.rows(), layout.columns());
      decoder()
          .decode(layout, part -> expected(layout, part, arena), staging)
          .dequantize(device, table);
      device.gatherRows(table, staging.ints(index), target);
      return;
    }
    decoder()
        .decodeRows(layout, index, part -> expected(layout, part, arena), staging)
        .dequantize(device, target);
  }

  private static HostTensor gathered(HostTensor matrix, int[] index, Arena arena) {
    long rowBytes = matrix.dtype().bytes(matrix.columns());
    MemorySegment rows = arena.allocate(rowBytes * index.length, 64);
    for (int i = 0; i < index.length; i++) {
      MemorySegment.copy(matrix.data(), index[i] * rowBytes, rows, i * rowBytes, rowBytes);
    }
    return new HostTensor(matrix.dtype(), Shape.of(index.length, matrix.columns()), rows);
  }

  private static void requireWeight(String name, HostTensor host, long rows, long columns) {
    if (!host.dtype().isWeightFloat() || host.dtype() == DType.F64) {
      throw new InvalidInputException(
          name
              + ": dtype "
              + host.dtype()
              + " can't be used as a weight; Quench computes with F32, BF16 and F16.");
    }
    if (host.rows() != rows || host.columns() != columns) {
      throw new InvalidInputException(
          "%s: its shape is %s, but config.json makes it [%d, %d]; are the two of the same model?"
              .formatted(name, host.shape(), rows, columns));
    }
  }

  private static void requireShape(String name, WeightLayout layout, long rows, long columns) {
    if (layout.rows() != rows || layout.columns() != columns) {
      throw new InvalidInputException(
          "%s: its shape is [%d, %d], but config.json makes it [%d, %d]; are the two of the same model?"
              .formatted(name, layout.rows(), layout.columns(), rows, columns));
    }
  }

  private WeightDecoder decoder() {
    return new WeightDecoder(device);
  }

  private HostTensor expected(WeightLayout layout, String name, Arena arena) {
    HostTensor host = reader.read(name, arena);
    for (OutputTensor tensor : layout.tensors()) {
      if (tensor.name().equals(name)) {
        tensor.require(name, host.dtype(), host.shape());
      }
    }
    return host;
  }
}
