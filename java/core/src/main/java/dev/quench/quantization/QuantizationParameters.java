package dev.quench.quantization;

import dev.quench.tensor.DType;

/**
 * Scale and zero point of the elements that share them. Behaviour reference §3.2.
 *
 * @param scale a value of the dtype that it was computed in
 */
public record QuantizationParameters(float scale, byte zeroPoint) {

  /**
   * From the range of the elements: symmetric, the larger magnitude goes to half the range of codes
   * (127.5 for int8); asymmetric, the range goes to all codes. A range that holds only 0 gets the
   * dtype's machine epsilon as its scale.
   *
   * @param min smallest element, or 0 if that is less
   * @param max largest element, or 0 if that is more
   * @param dtype D: the dtype of the elements; all arithmetic is rounded to it
   */
  public static QuantizationParameters of(
      float min, float max, QuantizationArgs args, DType dtype) {
    float codes = args.maxCode() - args.minCode();
    if (args.symmetric()) {
      float magnitude = Math.max(Math.abs(min), Math.abs(max));
      return new QuantizationParameters(
          orEpsilon(Rounding.to(dtype, magnitude / (codes / 2)), dtype), (byte) 0);
    }
    float scale = Rounding.to(dtype, Rounding.to(dtype, max - min) / codes);
    float zeroPoint = Rounding.to(dtype, args.minCode() - Rounding.to(dtype, min / scale));
    zeroPoint = Math.clamp(zeroPoint, args.minCode(), args.maxCode());
    return new QuantizationParameters(orEpsilon(scale, dtype), (byte) Math.rint(zeroPoint));
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
