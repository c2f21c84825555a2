package dev.quench.quantization;

import dev.quench.tensor.Bfloat16;
import dev.quench.tensor.DType;

/**
 * What a value becomes: the one meaning of rounding. Everything is computed in the dtype D of the
 * value, as compressed-tensors does: each operation in float32, then rounded to D. For bfloat16 (8
 * bits) and float16 (11 bits) that equals the correctly rounded operation in D, since float32's 24
 * bits are at least twice their precision plus two. The rounding to D before the rounding to a code
 * is part of the format. Behaviour reference §3.4.
 */
public final class Rounding {
  private Rounding() {}

  /** The value rounded to F32, BF16 or F16. */
  public static float to(DType dtype, float value) {
    return switch (dtype) {
      case F32 -> value;
      case BF16 -> Bfloat16.round(value);
      case F16 -> Float.float16ToFloat(Float.floatToFloat16(value));
      default -> throw new IllegalArgumentException("no arithmetic in " + dtype);
    };
  }

  /**
   * The code of x. That of NaN is NaN if there is such a code, else 0.
   *
   * @param scale that the value is divided by: with a global scale, its quotient by that
   * @param dtype D, of x and scale
   */
  public static byte code(
      float x, float scale, float zeroPoint, QuantizationArgs args, DType dtype) {
    float t = to(dtype, x / scale);
    t = to(dtype, t + zeroPoint);
    return args.codeFormat().fromFloat(Math.clamp(t, args.minCode(), args.maxCode()));
  }

  /** The value of a code, {@code (code − zeroPoint) · scale}, rounded to {@code dtype}. */
  public static float value(
      byte code, float scale, float zeroPoint, QuantizationArgs args, DType dtype) {
    return to(dtype, to(dtype, args.codeFormat().toFloat(code) - zeroPoint) * scale);
  }
}
