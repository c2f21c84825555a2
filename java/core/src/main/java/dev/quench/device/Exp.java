package dev.quench.device;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * e^x in float32: x = n·ln 2 + r with |r| ≤ ½ ln 2, e^r by its Taylor polynomial of degree 7
 * (truncation below 6·10⁻⁹), then scaled by 2^n in two halves so that results down to the smallest
 * subnormal come out. Vector and scalar take the same steps and give the same bits. Relative error
 * below 3·2⁻²⁴ where the result is normal.
 */
final class Exp {
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

  /** Small enough to be inlined where it is called; else its vectors would be boxed. */
  static FloatVector vector(FloatVector x) {
    FloatVector v = x.min(LARGEST).max(SMALLEST);
    FloatVector n = v.mul(LOG2_E).add(ROUND).sub(ROUND);
    FloatVector r = n.fma(v.broadcast(-LN2_HIGH), v);
    r = n.fma(v.broadcast(-LN2_LOW), r);
    FloatVector p = r.mul(C7).add(C6);
    p = p.fma(r, v.broadcast(C5));
    p = p.fma(r, v.broadcast(C4));
    p = p.fma(r, v.broadcast(C3));
    p = p.fma(r, v.broadcast(C2));
    p = p.fma(r, v.broadcast(1f));
    p = p.fma(r, v.broadcast(1f));
    IntVector exponent = (IntVector) n.convert(VectorOperators.F2I, 0);
    IntVector half = exponent.lanewise(VectorOperators.ASHR, 1);
    FloatVector first = half.add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
    FloatVector second =
        exponent.sub(half).add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
    return p.mul(first).mul(second);
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
