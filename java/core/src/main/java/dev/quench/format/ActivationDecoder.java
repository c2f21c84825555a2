package dev.quench.format;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorReader;
import dev.quench.model.ActivationQuantization;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Reads the tensors of an {@link ActivationLayout} back: the inverse of the encoder. */
public final class ActivationDecoder {
  private ActivationDecoder() {}

  /**
   * @throws InvalidInputException if a tensor isn't what the layout says
   */
  public static ActivationQuantization read(ActivationLayout layout, TensorReader reader) {
    List<Float> scales = new ArrayList<>();
    List<Byte> zeroPoints = new ArrayList<>();
    float globalScale = GlobalScale.NONE;
    try (Arena arena = Arena.ofConfined()) {
      for (OutputTensor expected : layout.tensors()) {
        HostTensor tensor = reader.read(expected.name(), arena);
        expected.require(expected.name(), tensor.dtype(), tensor.shape());
        for (long i = 0; i < tensor.shape().elements(); i++) {
          if (expected.name().equals(layout.globalScaleName())) {
            globalScale = tensor.floatAt(i);
          } else if (expected.name().equals(layout.scaleName())) {
            scales.add(tensor.floatAt(i));
          } else {
            zeroPoints.add(tensor.data().get(ValueLayout.JAVA_BYTE, i));
          }
        }
      }
    }
    while (zeroPoints.size() < scales.size()) {
      zeroPoints.add((byte) 0);
    }
    QuantizationArgs args = layout.args();
    return new ActivationQuantization(
        args.dynamic() == Dynamic.LOCAL ? args.withScaleDtype(Optional.of(DType.F8_E4M3)) : args,
        scales,
        zeroPoints,
        globalScale);
  }
}
