package dev.quench.tensor;

/**
 * The 4-bit float E2M1 of the OCP microscaling specification (Rouhani et al. 2023): 2 exponent bits
 * of bias 1, 1 mantissa bit, no infinities and no NaN. Its magnitudes are 0, ½, 1, 1½, 2, 3, 4 and
 * 6; a code is the index of the magnitude, and 8 more if the value is negative.
 */
public final class Float4E2M1 {
  /** Largest value. */
  public static final float MAX = 6;

  private static final int SIGN = 8;
  private static final float[] MAGNITUDES = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

  private Float4E2M1() {}

  /** The exact value of a code; only its four low bits count. Code 8 is −0. */
  public static float toFloat(byte code) {
    float magnitude = MAGNITUDES[code & 7];
    return (code & SIGN) == 0 ? magnitude : -magnitude;
  }

  /**
   * The nearest code, ties to even, magnitudes beyond 6 as 6. What is negative and rounds to 0
   * keeps its sign, but −0 itself becomes 0, as multiplying by the sign of the value has it. NaN
   * becomes 0.
   */
  public static byte fromFloat(float value) {
    float magnitude = Math.min(Math.abs(value), MAX);
    double index;
    if (magnitude < 2) {
      index = Math.rint(magnitude * 2); // steps of ½
    } else if (magnitude < 4) {
      index = Math.rint(magnitude) + 2; // steps of 1
    } else {
      index = Math.rint(magnitude / 2) + 4; // steps of 2
    }
    return (byte) ((int) index | (value < 0 ? SIGN : 0));
  }
}
