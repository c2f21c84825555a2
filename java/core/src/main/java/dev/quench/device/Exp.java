package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * e^x in float32: x = n·ln 2 + r with |r| ≤ ½ ln 2, e^r by its Taylor polynomial of degree 7
 * (truncation below 6·10⁻⁹), then scaled by 2^n in two halves so that results down to the smallest
 * subnormal come out. Vector and scalar take the same steps and give the same bits. Relative error
 * below 3·2⁻²⁴ where the result is normal.
 */
final class Exp {
  private static final VectorSpecies<Float> S = VectorShapes.FLOAT;
  private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;

  private static final float LOG2_E = 1.44269504f;

  /** ln 2 in two parts; the first has few enough bits that n times it is exact. */
  private static final float LN2_HIGH = 0.693359375f;

  private static final float LN2_LOW = -2.12194440e-4f;

  /** Beyond these the result is infinity or 0 anyway. */
  private static final float LARGEST = 89f;

  private static final float SMALLEST = -104f;

  /** Adding it rounds to an integer, ties to even. */
  private static final float ROUND = 12582912f;

  private static final float C2 = 1f / 2;
  private static final float C3 = 1f / 6;
  private static final float C4 = 1f / 24;
  private static final float C5 = 1f / 120;
  private static final float C6 = 1f / 720;
  private static final float C7 = 1f / 5040;

  private Exp() {}

  /**
   * {@code y[i] = e^(sign · x[i] + offset)} for count floats; y may be x.
   *
   * <p>One flat loop on purpose: a helper that takes or returns a vector may not be inlined, and
   * its vectors are boxed then.
   *
   * @param sign 1 or −1
   * @return the sum of y, lane by lane, then across lanes, then the rest
   */
  static float map(
      MemorySegment x, long from, MemorySegment y, long to, long count, float sign, float offset) {
    long bulk = S.loopBound(count);
    FloatVector sums = FloatVector.zero(S);
    FloatVector signs = FloatVector.broadcast(S, sign);
    FloatVector offsets = FloatVector.broadcast(S, offset);
    for (long i = 0; i < bulk; i += S.length()) {
      FloatVector v =
          FloatVector.fromMemorySegment(S, x, from + i * 4, LE)
              .fma(signs, offsets)
              .min(LARGEST)
              .max(SMALLEST);
      FloatVector n = v.mul(LOG2_E).add(ROUND).sub(ROUND);
      FloatVector r = n.fma(FloatVector.broadcast(S, -LN2_HIGH), v);
      r = n.fma(FloatVector.broadcast(S, -LN2_LOW), r);
      FloatVector p = r.mul(C7).add(C6);
      p = p.fma(r, FloatVector.broadcast(S, C5));
      p = p.fma(r, FloatVector.broadcast(S, C4));
      p = p.fma(r, FloatVector.broadcast(S, C3));
      p = p.fma(r, FloatVector.broadcast(S, C2));
      p = p.fma(r, FloatVector.broadcast(S, 1f));
      p = p.fma(r, FloatVector.broadcast(S, 1f));
      IntVector exponent = (IntVector) n.convert(VectorOperators.F2I, 0);
      IntVector half = exponent.lanewise(VectorOperators.ASHR, 1);
      p = p.mul(half.add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
      p =
          p.mul(
              exponent.sub(half).add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
      p.intoMemorySegment(y, to + i * 4, LE);
      sums = sums.add(p);
    }
    float sum = sums.reduceLanes(VectorOperators.ADD);
    for (long i = bulk; i < count; i++) {
      float e = scalar(Math.fma(x.get(JAVA_FLOAT_UNALIGNED, from + i * 4), sign, offset));
      y.set(JAVA_FLOAT_UNALIGNED, to + i * 4, e);
      sum += e;
    }
    return sum;
  }

  static float scalar(float x) {
    float v = Math.max(Math.min(x, LARGEST), SMALLEST);
    if (Float.isNaN(v)) {
      return v;
    }
    float n = v * LOG2_E + ROUND - ROUND;
    float r = Math.fma(n, -LN2_HIGH, v);
    r = Math.fma(n, -LN2_LOW, r);
    float p = r * C7 + C6;
    p = Math.fma(p, r, C5);
    p = Math.fma(p, r, C4);
    p = Math.fma(p, r, C3);
    p = Math.fma(p, r, C2);
    p = Math.fma(p, r, 1f);
    p = Math.fma(p, r, 1f);
    int exponent = (int) n;
    int half = exponent >> 1;
    float first = Float.intBitsToFloat((half + 127) << 23);
    float second = Float.intBitsToFloat((exponent - half + 127) << 23);
    return p * first * second;
  }
}
