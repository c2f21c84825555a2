package dev.quench.quantization;

import dev.quench.tensor.DType;

/** What scales are kept as. */
public enum ScaleFormat {
  /** In the dtype of what is quantized. */
  NATIVE,
  /** As powers of two: the MX formats. */
  E8M0,
  /** As E4M3 values, which a global scale in float32 stretches over their range: NVFP4. */
  E4M3;

  /**
   * Element type of scales.
   *
   * @param values that of what is quantized
   */
  public DType dtype(DType values) {
    return switch (this) {
      case NATIVE -> values;
      case E8M0 -> DType.F8_E8M0;
      case E4M3 -> DType.F8_E4M3;
    };
  }

  /**
   * Element type in which quotients by scales are computed.
   *
   * @param values that of what is quantized
   */
  public DType arithmetic(DType values) {
    return this == E4M3 ? DType.F32 : values;
  }
}
