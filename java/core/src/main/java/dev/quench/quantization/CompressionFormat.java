package dev.quench.quantization;

import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.tensor.DType;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * How a module's tensors lie in the checkpoint: compressed-tensors' formats. Behaviour reference
 * §5.1, §5.2.
 */
public enum CompressionFormat {
  DENSE("dense"),
  PACK_QUANTIZED("pack-quantized"),
  INT_QUANTIZED("int-quantized"),
  FLOAT_QUANTIZED("float-quantized"),
  NAIVE_QUANTIZED("naive-quantized"),
  NVFP4_PACK_QUANTIZED("nvfp4-pack-quantized"),
  MXFP4_PACK_QUANTIZED("mxfp4-pack-quantized"),
  MXFP8_QUANTIZED("mxfp8-quantized"),
  /** Of a whole checkpoint only: its groups have different ones. */
  MIXED_PRECISION("mixed-precision");

  private final String configName;

  CompressionFormat(String configName) {
    this.configName = configName;
  }

  /** Name in config.json. */
  public String configName() {
    return configName;
  }

  public static Optional<CompressionFormat> of(String configName) {
    return Arrays.stream(values())
        .filter(format -> format.configName.equals(configName))
        .findFirst();
  }

  public static List<String> names() {
    return Arrays.stream(values()).map(CompressionFormat::configName).toList();
  }

  /**
   * The format that compressed-tensors chooses for a linear of that scheme: the first that accepts
   * it.
   */
  public static CompressionFormat infer(
      Optional<QuantizationArgs> weights, Optional<QuantizationArgs> inputs) {
    if (weights.isEmpty()) {
      return DENSE;
    }
    QuantizationArgs args = weights.get();
    boolean mx = args.groupSize().equals(Optional.of(32)) && args.type() == Type.FLOAT;
    if (mx && args.numBits() == 4) {
      return MXFP4_PACK_QUANTIZED;
    }
    if (mx && args.scaleDtype().equals(Optional.of(DType.U8))) {
      return MXFP8_QUANTIZED;
    }
    if (args.type() == Type.FLOAT
        && args.numBits() == 4
        && args.groupSize().equals(Optional.of(16))) {
      return NVFP4_PACK_QUANTIZED;
    }
    if (args.type() == Type.INT) {
      return inputs.isPresent() ? INT_QUANTIZED : PACK_QUANTIZED;
    }
    return inputs.isPresent() ? FLOAT_QUANTIZED : NAIVE_QUANTIZED;
  }
}
