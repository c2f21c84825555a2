package dev.quench.quantization;

import dev.quench.tensor.DType;
import dev.quench.tensor.Float8E4M3;
import dev.quench.tensor.Float8E8M0;

/**
 * Scale and zero point of the elements that share them. Behaviour reference §3.2, §3.6.
 *
 * @param scale a value of the {@link ScaleFormat}
 */
public record QuantizationParameters(float scale, byte zeroPoint) {
  /** What a scale of E4M3 is that would be 0. */
  private static final float E4M3_EPSILON = 0.125f;

  /** A quarter of the distance of two powers of two, in the bits of a float. */
  private static final int QUARTER = 1 << 21;

  private static final int EXPONENT = 0x7F800000;

  /**
   * From the range of the elements: symmetric, the larger magnitude goes to half the range of codes
   * (127.5 for int8, 448 for E4M3, 6 for E2M1); asymmetric, the range goes to all codes. A range
   * that holds only 0 gets the dtype's machine epsilon as its scale.
   *
   * @param min smallest element, or 0 if that is less
   * @param max largest element, or 0 if that is more
   * @param globalScale of scales in E4M3; other formats have {@link GlobalScale#NONE}
   * @param dtype D: the dtype of the elements; all arithmetic is rounded to it
   */
  public static QuantizationParameters of(
      float min, float max, QuantizationArgs args, float globalScale, DType dtype) {
    float codes = args.maxCode() - args.minCode();
    if (args.symmetric()) {
      float magnitude = Math.max(Math.abs(min), Math.abs(max));
      float scale =
          switch (args.scaleFormat()) {
            case NATIVE -> orEpsilon(Rounding.to(dtype, magnitude / (codes / 2)), dtype);
            case E8M0 -> powerOfTwo(magnitude, args, dtype);
            case E4M3 -> e4m3(Rounding.to(dtype, magnitude / (codes / 2)) * globalScale);
          };
      return new QuantizationParameters(scale, (byte) 0);
    }
    float scale = Rounding.to(dtype, Rounding.to(dtype, max - min) / codes);
    float zeroPoint = Rounding.to(dtype, args.minCode() - Rounding.to(dtype, min / scale));
    zeroPoint = Math.clamp(zeroPoint, args.minCode(), args.maxCode());
    return new QuantizationParameters(orEpsilon(scale, dtype), (byte) Math.rint(zeroPoint));
  }

  /**
   * The power of two that takes the magnitude into the binade of the largest code: magnitudes below
   * 1.75 times a power of two count as that power, others as the next. 2^−127 if the magnitude is 0
   * or subnormal; what D holds only as 0 is 1 instead. NaN if it isn't finite.
   */
  private static float powerOfTwo(float magnitude, QuantizationArgs args, DType dtype) {
    if (!Float.isFinite(magnitude)) {
      return Float.NaN;
    }
    float power = Float.intBitsToFloat((Float.floatToRawIntBits(magnitude) + QUARTER) & EXPONENT);
    if (dtype == DType.F16 && magnitude < 0x1p-14f) {
      // Subnormal: its exponent bits are 0, unless a quarter more makes it normal.
      power = magnitude < 0x1.8p-15f ? 0 : 0x1p-14f;
    }
    int largestCode = Math.getExponent(args.maxCode());
    int exponent = power == 0 ? -127 : Math.max(Math.getExponent(power) - largestCode, -127);
    float scale = Rounding.to(dtype, Float8E8M0.toFloat((byte) (exponent + 127)));
    return scale == 0 ? 1 : scale;
  }

  private static float e4m3(float scale) {
    float clamped = Math.clamp(scale, -Float8E4M3.MAX, Float8E4M3.MAX);
    float rounded = Float8E4M3.toFloat(Float8E4M3.fromFloat(clamped));
    return rounded == 0 ? E4M3_EPSILON : rounded;
  }

  private static float orEpsilon(float scale, DType dtype) {
    if (scale != 0) {
      return scale;
    }
    return switch (dtype) {
      case BF16 -> 0x1p-7f;
      case F16 -> 0x1p-10f;
      default -> 0x1p-23f;
    };
  }
}
