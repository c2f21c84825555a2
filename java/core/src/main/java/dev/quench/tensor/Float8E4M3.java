package dev.quench.tensor;

/**
 * The 8-bit float E4M3FN of the OCP specification (Micikevicius et al. 2022): 4 exponent bits of
 * bias 7, 3 mantissa bits, no infinities, one NaN per sign, largest value 448.
 */
public final class Float8E4M3 {
  /** Largest finite value. */
  public static final float MAX = 448;

  private static final int NAN = 0x7F;

  /** 2^14: its unit in the last place is 2^−9, the distance between subnormals. */
  private static final float SUBNORMAL_MAGIC = 16384;

  /** 2^−6, the smallest normal value. */
  private static final float MIN_NORMAL = 0.015625f;

  private Float8E4M3() {}

  /** The exact value of a bit pattern. */
  public static float toFloat(byte bits) {
    int magnitude = bits & 0x7F;
    float value;
    if (magnitude == NAN) {
      value = Float.NaN;
    } else if (magnitude < 8) {
      value = magnitude * 0x1p-9f;
    } else {
      value = Float.intBitsToFloat((magnitude << 20) + ((127 - 7) << 23));
    }
    return bits < 0 ? -value : value;
  }

  /**
   * The nearest code, ties to even, sign of zero kept; magnitudes that round beyond 448, and NaN,
   * become NaN.
   */
  public static byte fromFloat(float value) {
    int bits = Float.floatToRawIntBits(value);
    int sign = (bits >>> 24) & 0x80;
    float magnitude = Math.abs(value);
    int code;
    if (magnitude < MIN_NORMAL) {
      code = Float.floatToRawIntBits(magnitude + SUBNORMAL_MAGIC) & 0xF;
    } else {
      int rounded = (bits & 0x7FFFFFFF) + 0x7FFFF + ((bits >>> 20) & 1);
      code = (rounded >>> 20) - ((127 - 7) << 3);
    }
    return (byte) (sign | (code > 0x7E || Float.isNaN(value) ? NAN : code));
  }
}
