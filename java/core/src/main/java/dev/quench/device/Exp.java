package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * e^−a for a ≥ 0 in float32, which is all that softmax and sigmoid need: a = k·ln 2 + r with |r| ≤
 * ½ ln 2, e^−r by its Taylor polynomial of degree 7 (truncation below 6·10⁻⁹), then 2^−k by a
 * subtraction from the exponent. Results down to the smallest subnormal come out, since the
 * polynomial gives 2⁶⁴·e^−r and the last step, a product with 2⁻⁶⁴, rounds. Vector and scalar take
 * the same steps and give the same bits. Relative error below 3·2⁻²⁴ where the result is normal.
 */
final class Exp {
  private static final VectorSpecies<Float> S = VectorShapes.FLOAT;
  private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;

  private static final float LOG2_E = 1.44269504f;

  /** ln 2 in two parts; the first has few enough bits that k times it is exact. */
  private static final float LN2_HIGH = 0.693359375f;

  private static final float LN2_LOW = -2.12194440e-4f;

  /** e^−104 is below half of the smallest subnormal. */
  private static final float LARGEST = 104f;

  /**
   * 1.5·2²³: adding it rounds to an integer, which is the low bits of the sum; the other bits are
   * gone when that is shifted to where the exponent lies.
   */
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

  private Exp() {}

  /**
   * {@code y[i] = e^−|x[i] − origin|} for count floats; y may be x. NaN stays NaN.
   *
   * <p>Flat loops on purpose: a helper that takes or returns a vector may not be inlined, and its
   * vectors are boxed then. Two of them, since turning an int vector into a float vector costs more
   * than to store the one and load the other.
   *
   * @return the sum of y, lane by lane, then across lanes, then the rest
   */
  static float decay(
      MemorySegment x, long from, float origin, MemorySegment y, long to, long count) {
    long bulk = S.loopBound(count);
    FloatVector round = FloatVector.broadcast(S, ROUND);
    for (long i = 0; i < bulk; i += S.length()) {
      FloatVector a = FloatVector.fromMemorySegment(S, x, from + i * 4, LE).sub(origin).abs();
      // Not min: Java's orders zeros and NaNs, which takes three times as many instructions.
      a = a.blend(LARGEST, a.compare(VectorOperators.GT, LARGEST));
      FloatVector rounded = a.fma(FloatVector.broadcast(S, LOG2_E), round);
      // Else low bits of a NaN might turn into an exponent.
      rounded = rounded.blend(round, rounded.compare(VectorOperators.NE, rounded));
      FloatVector k = rounded.sub(round);
      FloatVector r = k.fma(FloatVector.broadcast(S, -LN2_HIGH), a);
      r = k.fma(FloatVector.broadcast(S, -LN2_LOW), r);
      FloatVector p = r.fma(FloatVector.broadcast(S, C7), FloatVector.broadcast(S, C6));
      p = p.fma(r, FloatVector.broadcast(S, C5));
      p = p.fma(r, FloatVector.broadcast(S, C4));
      p = p.fma(r, FloatVector.broadcast(S, C3));
      p = p.fma(r, FloatVector.broadcast(S, C2));
      p = p.fma(r, FloatVector.broadcast(S, -UP));
      p = p.fma(r, FloatVector.broadcast(S, UP));
      p.reinterpretAsInts()
          .sub(rounded.reinterpretAsInts().lanewise(VectorOperators.LSHL, EXPONENT))
          .intoMemorySegment(y, to + i * 4, LE);
    }
    FloatVector sums = FloatVector.zero(S);
    for (long i = 0; i < bulk; i += S.length()) {
      FloatVector e = FloatVector.fromMemorySegment(S, y, to + i * 4, LE).mul(DOWN);
      e.intoMemorySegment(y, to + i * 4, LE);
      sums = sums.add(e);
    }
    float sum = FixedOrder.sum(sums.toArray());
    for (long i = bulk; i < count; i++) {
      float e = decay(Math.abs(x.get(JAVA_FLOAT_UNALIGNED, from + i * 4) - origin));
      y.set(JAVA_FLOAT_UNALIGNED, to + i * 4, e);
      sum += e;
    }
    return sum;
  }

  /** e^−a for a ≥ 0. */
  static float decay(float a) {
    if (Float.isNaN(a)) {
      return a;
    }
    float clamped = Math.min(a, LARGEST);
    float rounded = Math.fma(clamped, LOG2_E, ROUND);
    float k = rounded - ROUND;
    float r = Math.fma(k, -LN2_HIGH, clamped);
    r = Math.fma(k, -LN2_LOW, r);
    float p = Math.fma(r, C7, C6);
    p = Math.fma(p, r, C5);
    p = Math.fma(p, r, C4);
    p = Math.fma(p, r, C3);
    p = Math.fma(p, r, C2);
    p = Math.fma(p, r, -UP);
    p = Math.fma(p, r, UP);
    int scaled = Float.floatToRawIntBits(p) - (Float.floatToRawIntBits(rounded) << EXPONENT);
    return Float.intBitsToFloat(scaled) * DOWN;
  }
}
