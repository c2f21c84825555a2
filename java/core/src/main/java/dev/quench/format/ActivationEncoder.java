package dev.quench.format;

import dev.quench.QuenchException;
import dev.quench.calibration.ActivationRanges;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.quantization.QuantizationParameters;
import dev.quench.tensor.Bfloat16;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Turns ranges of activations into the tensors of an {@link ActivationLayout}. */
public final class ActivationEncoder {
  private final TensorSink sink;

  public ActivationEncoder(TensorSink sink) {
    this.sink = sink;
  }

  /**
   * @throws QuenchException if the activations weren't finite
   */
  public void encode(ActivationLayout layout, ActivationRanges ranges) {
    if (layout.args().dynamic() == Dynamic.LOCAL) {
      write(layout, List.of(new QuantizationParameters(ranges.globalScale(), (byte) 0)));
    } else {
      write(layout, ranges.parameters());
    }
  }

  private void write(ActivationLayout layout, List<QuantizationParameters> parameters) {
    for (QuantizationParameters each : parameters) {
      if (!Float.isFinite(each.scale())) {
        throw new QuenchException(
            "%s: the activations hold NaN or infinite values, so no scale fits them. Look for NaN or Inf in the weights of the layers before it, or for activations beyond %s."
                .formatted(layout.name(), layout.scaleDtype()));
      }
    }
    try (Arena arena = Arena.ofConfined()) {
      for (OutputTensor tensor : layout.tensors()) {
        MemorySegment data = arena.allocate(tensor.bytes(), Long.BYTES);
        for (int i = 0; i < parameters.size(); i++) {
          if (tensor.name().equals(layout.zeroPointName())) {
            data.setAtIndex(ValueLayout.JAVA_BYTE, i, parameters.get(i).zeroPoint());
          } else {
            set(data, i, tensor.dtype(), parameters.get(i).scale());
          }
        }
        sink.accept(tensor.name(), new HostTensor(tensor.dtype(), tensor.shape(), data));
      }
    }
  }

  private static void set(MemorySegment data, int index, DType dtype, float value) {
    switch (dtype) {
      case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, index, value);
      case BF16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, index, Bfloat16.fromFloat(value));
      case F16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, index, Float.floatToFloat16(value));
      default -> throw new IllegalArgumentException("no scales in " + dtype);
    }
  }
}
