package dev.quench.device;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * e^−a for a ≥ 0 in float32, which is all that softmax and sigmoid need: a = k·ln 2 + r with |r| ≤
 * ½ ln 2, e^−r by its Taylor polynomial of degree 7 (truncation below 6·10⁻⁹), then 2^−k by a
 * subtraction from the exponent. Results down to the smallest subnormal come out, since the
 * polynomial gives 2⁶⁴·e^−r and the last step, a product with 2⁻⁶⁴, rounds. Relative error below
 * 3·2⁻²⁴ where the result is normal.
 *
 * <p>Many at a time, it is a chain of plain loops over pieces of a row, for the reason that {@link
 * Lanes} gives. An object is scratch memory of one task.
 */
final class Exp {
  /** Elements of a piece, which with what is computed of it stays in the first-level cache. */
  static final int ELEMENTS = 1024;

  private static final float LOG2_E = 1.44269504f;

  /** ln 2 in two parts; the first has few enough bits that k times it is exact. */
  private static final float LN2_HIGH = 0.693359375f;

  private static final float LN2_LOW = -2.12194440e-4f;

  /** e^−104 is below half of the smallest subnormal. */
  private static final float LARGEST = 104f;

  /** 1.5·2²³: adding it rounds to an integer. */
  private static final float ROUND = 12582912f;

  private static final int EXPONENT = 23;

  private static final float UP = 0x1p64f;
  private static final float DOWN = 0x1p-64f;
  private static final float C2 = UP / 2;
  private static final float C3 = -UP / 6;
  private static final float C4 = UP / 24;
  private static final float C5 = -UP / 120;
  private static final float C6 = UP / 720;
  private static final float C7 = -UP / 5040;

  private final float[] values = new float[ELEMENTS];
  private final int[] exponents = new int[ELEMENTS];
  private final int[] bits = new int[ELEMENTS];
  private final MemorySegment valuesMemory = MemorySegment.ofArray(values);
  private final MemorySegment bitsMemory = MemorySegment.ofArray(bits);

  /**
   * {@code y[i] = e^−|x[i] − origin|} for count floats; y may be x. NaN stays NaN.
   *
   * @return the sum of y, in an order that depends on the count alone
   */
  float decay(MemorySegment x, long from, float origin, MemorySegment y, long to, long count) {
    float sum = 0;
    for (long at = 0; at < count; at += ELEMENTS) {
      int length = (int) Math.min(ELEMENTS, count - at);
      MemorySegment.copy(x, ValueLayout.JAVA_FLOAT_UNALIGNED, from + at * 4, values, 0, length);
      decay(values, origin, length);
      MemorySegment.copy(values, 0, y, ValueLayout.JAVA_FLOAT_UNALIGNED, to + at * 4, length);
      sum += Lanes.sum(values, length);
    }
    return sum;
  }

  /** The same in place, of at most {@link #ELEMENTS} values. */
  void decay(float[] x, float origin, int count) {
    polynomials(x, origin, values, exponents, count);
    MemorySegment.copy(valuesMemory, 0, bitsMemory, 0, count * 4L);
    lowerExponents(bits, exponents, count);
    MemorySegment.copy(bitsMemory, 0, valuesMemory, 0, count * 4L);
    scaleDown(values, x, count);
  }

  /** {@code p = 2⁶⁴·e^−r} and k of {@code |x − origin|}. */
  private static void polynomials(float[] x, float origin, float[] p, int[] k, int count) {
    for (int i = 0; i < count; i++) {
      float a = Math.min(Math.abs(x[i] - origin), LARGEST);
      float whole = Math.fma(a, LOG2_E, ROUND) - ROUND;
      float r = Math.fma(whole, -LN2_HIGH, a);
      r = Math.fma(whole, -LN2_LOW, r);
      float y = Math.fma(r, C7, C6);
      y = Math.fma(y, r, C5);
      y = Math.fma(y, r, C4);
      y = Math.fma(y, r, C3);
      y = Math.fma(y, r, C2);
      y = Math.fma(y, r, -UP);
      p[i] = Math.fma(y, r, UP);
      k[i] = (int) whole;
    }
  }

  private static void lowerExponents(int[] bits, int[] by, int count) {
    for (int i = 0; i < count; i++) {
      bits[i] = bits[i] - (by[i] << EXPONENT);
    }
  }

  private static void scaleDown(float[] x, float[] y, int count) {
    for (int i = 0; i < count; i++) {
      y[i] = x[i] * DOWN;
    }
  }

  /** e^−a for a ≥ 0, with the same bits. */
  static float decay(float a) {
    if (Float.isNaN(a)) {
      return a;
    }
    float clamped = Math.min(a, LARGEST);
    float whole = Math.fma(clamped, LOG2_E, ROUND) - ROUND;
    float r = Math.fma(whole, -LN2_HIGH, clamped);
    r = Math.fma(whole, -LN2_LOW, r);
    float p = Math.fma(r, C7, C6);
    p = Math.fma(p, r, C5);
    p = Math.fma(p, r, C4);
    p = Math.fma(p, r, C3);
    p = Math.fma(p, r, C2);
    p = Math.fma(p, r, -UP);
    p = Math.fma(p, r, UP);
    int scaled = Float.floatToRawIntBits(p) - ((int) whole << EXPONENT);
    return Float.intBitsToFloat(scaled) * DOWN;
  }
}
