package dev.quench.tensor;

/** The bfloat16 format: the upper half of a float32. */
public final class Bfloat16 {
  private Bfloat16() {}

  /** The exact value of a bfloat16 bit pattern. */
  public static float toFloat(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** The nearest bfloat16, ties to even; beyond the range infinity; NaN stays NaN, made quiet. */
  public static short fromFloat(float value) {
    int bits = Float.floatToRawIntBits(value);
    if (Float.isNaN(value)) {
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
  }

  /** The nearest value that a bfloat16 can hold. */
  public static float round(float value) {
    return toFloat(fromFloat(value));
  }
}
