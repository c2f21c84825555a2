package dev.quench.format;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorReader;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.model.WeightSource;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.quantization.QuantizationArgs.Strategy;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.util.Map;

/**
 * The weights of a checkpoint, compressed or not: compressed ones are dequantized when they are
 * loaded.
 */
public final class StoredWeights implements WeightSource {
  private final Device device;
  private final TensorReader reader;
  private final Map<String, WeightLayout> compressed;

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
    Tensor target = scope.allocate(DType.F32, rows, columns);
    WeightLayout layout = compressed.get(name);
    try (Arena arena = Arena.ofShared();
        Scope staging = device.openScope()) {
      if (layout == null) {
        device.convert(plain(name, rows, columns, arena, staging), target);
      } else {
        requireShape(name, layout, rows, columns);
        dequantize(
            decoder().decode(layout, part -> expected(layout, part, arena), staging), target);
      }
      device.synchronize();
    }
    return target;
  }

  @Override
  public void gatherRows(String name, long rows, long columns, int[] index, Tensor target) {
    WeightLayout layout = compressed.get(name);
    try (Arena arena = Arena.ofShared();
        Scope staging = device.openScope()) {
      if (layout == null) {
        device.gatherRows(plain(name, rows, columns, arena, staging), staging.ints(index), target);
      } else {
        requireShape(name, layout, rows, columns);
        gatherRows(layout, index, target, arena, staging);
      }
      device.synchronize();
    }
  }

  private void gatherRows(
      WeightLayout layout, int[] index, Tensor target, Arena arena, Scope staging) {
    if (layout.args().strategy() == Strategy.BLOCK) {
      Tensor table = staging.allocate(DType.F32, layout.rows(), layout.columns());
      dequantize(decoder().decode(layout, part -> expected(layout, part, arena), staging), table);
      device.gatherRows(table, staging.ints(index), target);
      return;
    }
    dequantize(
        decoder().decodeRows(layout, index, part -> expected(layout, part, arena), staging),
        target);
  }

  private Tensor plain(String name, long rows, long columns, Arena arena, Scope staging) {
    HostTensor host = reader.read(name, arena);
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
    return staging.upload(host);
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

  private void dequantize(QuantizedWeight weight, Tensor target) {
    device.dequantize(
        weight.codes(),
        weight.scale(),
        weight.zeroPoint(),
        weight.args(),
        weight.globalScale(),
        target);
  }

  private HostTensor expected(WeightLayout layout, String name, Arena arena) {
    HostTensor host = reader.read(name, arena);
    for (OutputTensor tensor : layout.tensors()) {
      if (tensor.name().equals(name)
          && (host.dtype() != tensor.dtype() || !host.shape().equals(tensor.shape()))) {
        throw new InvalidInputException(
            "%s is %s %s, but its quantization_config makes it %s %s."
                .formatted(name, host.dtype(), host.shape(), tensor.dtype(), tensor.shape()));
      }
    }
    return host;
  }
}
