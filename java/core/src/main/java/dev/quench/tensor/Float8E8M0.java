package dev.quench.tensor;

/**
 * The 8-bit scale E8M0 of the OCP microscaling specification: code e is 2^(e − 127), and 255 is
 * NaN.
 */
public final class Float8E8M0 {
  private static final int BIAS = 127;
  private static final int NAN = 0xFF;

  private Float8E8M0() {}

  /** The exact value of a code. */
  public static float toFloat(byte code) {
    return switch (code & 0xFF) {
      case NAN -> Float.NaN;
      case 0 -> 0x1p-127f; // subnormal
      default -> Float.intBitsToFloat((code & 0xFF) << 23);
    };
  }

  /** The code of a power of two; NaN for what has none. Mantissas aren't looked at. */
  public static byte fromFloat(float powerOfTwo) {
    if (!(powerOfTwo > 0) || powerOfTwo == Float.POSITIVE_INFINITY) {
      return (byte) NAN;
    }
    // 2^−127, the one subnormal value, has exponent −127 here too.
    return (byte) (Math.getExponent(powerOfTwo) + BIAS);
  }
}
