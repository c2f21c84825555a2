package dev.quench.format;

import dev.quench.checkpoint.OutputTensor;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;

/** Turns a {@link QuantizedWeight} into the tensors of its {@link WeightLayout}. */
public final class WeightEncoder {
  private final Device device;
  private final TensorSink sink;

  public WeightEncoder(Device device, TensorSink sink) {
    this.device = device;
    this.sink = sink;
  }

  /**
   * @param weight if the format is packed, its codes may be packed already
   * @param original what it was made of
   * @throws dev.quench.InvalidInputException if a scale isn't finite, because the original isn't
   */
  public void encode(QuantizedWeight weight, WeightLayout layout, HostTensor original) {
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      for (OutputTensor output : layout.tensors()) {
        HostTensor host;
        if (output.name().equals(layout.codesName())) {
          host = device.onHost(codes(weight, layout, scope), output.shape(), arena);
        } else if (output.name().equals(layout.scaleName())) {
          host = device.onHost(weight.scale(), output.shape(), arena);
          FiniteCheck.requireFinite(host, original, layout);
          host = host.reinterpret(output.dtype());
        } else if (output.name().equals(layout.globalScaleName())) {
          host = blank(output, arena);
          host.data().setAtIndex(ValueLayout.JAVA_FLOAT, 0, weight.globalScale());
        } else if (output.name().equals(layout.zeroPointName())) {
          host = device.onHost(zeroPoint(weight, layout, scope), output.shape(), arena);
        } else {
          host = blank(output, arena);
          host.data().setAtIndex(ValueLayout.JAVA_LONG, 0, layout.rows());
          host.data().setAtIndex(ValueLayout.JAVA_LONG, 1, layout.columns());
        }
        sink.accept(output.name(), host);
      }
    }
  }

  private static HostTensor blank(OutputTensor output, Arena arena) {
    return new HostTensor(
        output.dtype(), output.shape(), arena.allocate(output.bytes(), Long.BYTES));
  }

  private Tensor codes(QuantizedWeight weight, WeightLayout layout, Scope scope) {
    if (weight.codes().dtype() == layout.codesDtype()) {
      return weight.codes();
    }
    Tensor packed = scope.allocate(layout.codesDtype(), layout.rows(), layout.codesColumns());
    device.pack(weight.codes(), layout.args().numBits(), packed);
    return packed;
  }

  /**
   * Zero points of a packed format are packed along the output channels: transposed, packed,
   * transposed back.
   */
  private Tensor zeroPoint(QuantizedWeight weight, WeightLayout layout, Scope scope) {
    if (!layout.packedZeroPoint()) {
      return weight.zeroPoint();
    }
    long rows = layout.scaleRows();
    long columns = layout.scaleColumns();
    long words = Math.ceilDiv(rows * layout.args().numBits(), 32);
    Tensor transposed = scope.allocate(DType.I8, columns, rows);
    device.transpose(weight.zeroPoint(), transposed);
    Tensor packed = scope.allocate(DType.I32, columns, words);
    device.pack(transposed, layout.args().numBits(), packed);
    Tensor result = scope.allocate(DType.I32, words, columns);
    device.transpose(packed, result);
    return result;
  }
}
