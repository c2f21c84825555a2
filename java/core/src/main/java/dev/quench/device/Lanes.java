package dev.quench.device;

/**
 * Straight loops over whole arrays of 32-bit lanes, one operation of a kernel each. C2 makes vector
 * code of them within milliseconds of the start, at whatever vector length the machine has, and the
 * code before that is scalar; the Vector API would allocate an object an operation until it is
 * compiled, which costs seconds in a process that lives for one.
 *
 * <p>What keeps C2 from vectorizing is absent on purpose: elements of 8 or 16 bits, {@link
 * Float#floatToRawIntBits}, and indices other than the loop's. Arrays change between int and float
 * by a copy of their bytes instead.
 */
final class Lanes {
  /** Added and taken away again, it leaves the nearest integer, ties to even, below 2^22. */
  private static final float ROUND = 12582912f;

  private static final int INFINITY = 0x7F800000;

  /** The bits of 448, E4M3's largest value. */
  private static final int E4M3_MAX = 0x43E00000;

  private Lanes() {}

  /** The lower halves of words as bfloat16: float bits. */
  static void lowerBfloat16(int[] words, int[] bits, int count) {
    for (int i = 0; i < count; i++) {
      bits[i] = words[i] << 16;
    }
  }

  /** The upper halves of words as bfloat16: float bits. */
  static void upperBfloat16(int[] words, int[] bits, int count) {
    for (int i = 0; i < count; i++) {
      bits[i] = words[i] & 0xFFFF0000;
    }
  }

  /** The inverse of both. */
  static void joinBfloat16(int[] lower, int[] upper, int[] words, int count) {
    for (int i = 0; i < count; i++) {
      words[i] = (lower[i] >>> 16) | (upper[i] & 0xFFFF0000);
    }
  }

  /** Float bits rounded to bfloat16, ties to even. NaNs whose lower half is 0 stay NaN. */
  static void roundToBfloat16(int[] bits, int count) {
    for (int i = 0; i < count; i++) {
      int value = bits[i];
      bits[i] = (value + 0x7FFF + ((value >>> 16) & 1)) & 0xFFFF0000;
    }
  }

  static void roundToFloat16(float[] values, int count) {
    for (int i = 0; i < count; i++) {
      values[i] = Float.float16ToFloat(Float.floatToFloat16(values[i]));
    }
  }

  static void divide(float[] values, float[] by, int count) {
    for (int i = 0; i < count; i++) {
      values[i] = values[i] / by[i];
    }
  }

  /**
   * {@code values = values / by} rounded to bfloat16, plus 0, which makes −0 positive; for
   * quotients below 2^111 that are 0 or more than 2^−134, half of the smallest bfloat16. The
   * rounding is Veltkamp's splitting (Dekker 1971), which is to the nearest but not always to even
   * in a tie; no quotient of two bfloat16 lies in the middle between two others.
   */
  static void divideInBfloat16(float[] values, float[] by, int count) {
    for (int i = 0; i < count; i++) {
      float quotient = values[i] / by[i];
      float shifted = quotient * 65537;
      values[i] = (shifted - (shifted - quotient)) + 0f;
    }
  }

  static void multiply(float[] values, float[] by, int count) {
    for (int i = 0; i < count; i++) {
      values[i] = values[i] * by[i];
    }
  }

  static void add(float[] values, float[] summands, int count) {
    for (int i = 0; i < count; i++) {
      values[i] = values[i] + summands[i];
    }
  }

  static void subtract(float[] values, float[] by, int count) {
    for (int i = 0; i < count; i++) {
      values[i] = values[i] - by[i];
    }
  }

  /** {@code codes = clamp(rint(values)) + bias}; NaN counts as 0. */
  static void toIntegers(float[] values, int min, int max, int bias, int[] codes, int count) {
    for (int i = 0; i < count; i++) {
      int code = (int) ((values[i] + ROUND) - ROUND);
      codes[i] = Math.max(min, Math.min(code, max)) + bias;
    }
  }

  /** {@code rounded = clamp(rint(values))}. */
  static void roundToIntegers(float[] values, float min, float max, float[] rounded, int count) {
    for (int i = 0; i < count; i++) {
      rounded[i] = Math.max(min, Math.min((values[i] + ROUND) - ROUND, max));
    }
  }

  /**
   * {@code codes = clamp(rint(values / scales + zeroPoints))} in F32, NaN counting as 0, and what
   * they stand for: {@code restored = (codes − zeroPoints) · scales}.
   */
  static void toIntegers(
      float[] values,
      float[] scales,
      float[] zeroPoints,
      int min,
      int max,
      int[] codes,
      float[] restored,
      int count) {
    for (int i = 0; i < count; i++) {
      float units = values[i] / scales[i] + zeroPoints[i];
      int code = Math.max(min, Math.min((int) ((units + ROUND) - ROUND), max));
      codes[i] = code;
      restored[i] = (code - zeroPoints[i]) * scales[i];
    }
  }

  /** {@code errors = (values − rounded) / pivot; losses += errors²}. */
  static void errors(
      float[] values, float[] rounded, float pivot, float[] errors, float[] losses, int count) {
    for (int i = 0; i < count; i++) {
      float error = (values[i] - rounded[i]) / pivot;
      errors[i] = error;
      losses[i] = losses[i] + error * error;
    }
  }

  /** The sum of squares, by eight running sums of every eighth value, added in a fixed order. */
  static float sumOfSquares(float[] values, int count) {
    float a = 0;
    float b = 0;
    float c = 0;
    float d = 0;
    float e = 0;
    float f = 0;
    float g = 0;
    float h = 0;
    int bulk = count & -8;
    for (int i = 0; i < bulk; i += 8) {
      a = Math.fma(values[i], values[i], a);
      b = Math.fma(values[i + 1], values[i + 1], b);
      c = Math.fma(values[i + 2], values[i + 2], c);
      d = Math.fma(values[i + 3], values[i + 3], d);
      e = Math.fma(values[i + 4], values[i + 4], e);
      f = Math.fma(values[i + 5], values[i + 5], f);
      g = Math.fma(values[i + 6], values[i + 6], g);
      h = Math.fma(values[i + 7], values[i + 7], h);
    }
    for (int i = bulk; i < count; i++) {
      a = Math.fma(values[i], values[i], a);
    }
    return ((a + b) + (c + d)) + ((e + f) + (g + h));
  }

  /** {@code values = values · factor · weights}. */
  static void scale(float[] values, float factor, float[] weights, int count) {
    for (int i = 0; i < count; i++) {
      values[i] = (values[i] * factor) * weights[i];
    }
  }

  /**
   * {@code up = silu(x) · up}, where silu(x) = x / (1 + e^−x), for x < 0 as x · e^x / (1 + e^x).
   *
   * @param e e^−|x|
   */
  static void silu(float[] x, float[] e, float[] up, int count) {
    for (int i = 0; i < count; i++) {
      float numerator = Math.max(x[i], 0) + Math.min(x[i], 0) * e[i];
      up[i] = (numerator / (1f + e[i])) * up[i];
    }
  }

  /** {@code sums = fma(−factor, values, sums)}. */
  static void subtractProduct(float[] sums, float[] values, float factor, int count) {
    float minus = -factor;
    for (int i = 0; i < count; i++) {
      sums[i] = Math.fma(minus, values[i], sums[i]);
    }
  }

  /**
   * {@code x = fma(−xA, a, x)}, then with b, c and d; so does y: eight multiply-adds for six loads
   * and two stores.
   */
  static void subtractProducts(
      float[] x,
      float[] y,
      float[] a,
      float xA,
      float yA,
      float[] b,
      float xB,
      float yB,
      float[] c,
      float xC,
      float yC,
      float[] d,
      float xD,
      float yD,
      int count) {
    for (int i = 0; i < count; i++) {
      float ai = a[i];
      float bi = b[i];
      float ci = c[i];
      float di = d[i];
      float xi = x[i];
      float yi = y[i];
      xi = Math.fma(-xA, ai, xi);
      yi = Math.fma(-yA, ai, yi);
      xi = Math.fma(-xB, bi, xi);
      yi = Math.fma(-yB, bi, yi);
      xi = Math.fma(-xC, ci, xi);
      yi = Math.fma(-yC, ci, yi);
      xi = Math.fma(-xD, di, xi);
      yi = Math.fma(-yD, di, yi);
      x[i] = xi;
      y[i] = yi;
    }
  }

  /**
   * How many of E4M3's smallest steps, 2^−9, a magnitude is, at most 8: the codes of subnormal
   * values.
   */
  static void toE4m3Steps(float[] values, int[] steps, int count) {
    for (int i = 0; i < count; i++) {
      int exact = (int) ((Math.abs(values[i]) * 512 + ROUND) - ROUND);
      steps[i] = Math.min(exact, 8);
    }
  }

  /**
   * E4M3 codes of {@code clamp(value, −448, 448)} as {@code Float8E4M3.fromFloat} has them. Below
   * the smallest normal value, whose code is 8, the number of steps is more than what the formula
   * for normal values gives; above, less.
   *
   * @param bits of the values
   * @param codes the values' {@link #toE4m3Steps} before, their codes after
   */
  static void toE4m3(int[] bits, int[] codes, int count) {
    for (int i = 0; i < count; i++) {
      int value = bits[i];
      int magnitude = value & 0x7FFFFFFF;
      int clamped = Math.min(magnitude, E4M3_MAX);
      int normal = ((clamped + 0x7FFFF + ((clamped >>> 20) & 1)) >>> 20) - ((127 - 7) << 3);
      int nan = (INFINITY - magnitude) >>> 31;
      codes[i] = Math.max(codes[i], normal + nan) | ((value >>> 24) & 0x80);
    }
  }

  /**
   * E2M1 codes of {@code clamp(value, −6, 6)} as {@code Float4E2M1.fromFloat} has them. Below 2
   * codes are steps of ½, up to 4 of 1, then of 2; of the three counts the right one is the
   * smallest. NaN counts as 0.
   *
   * @param bits of the values
   */
  static void toE2m1(float[] values, int[] bits, int[] codes, int count) {
    for (int i = 0; i < count; i++) {
      float magnitude = Math.min(Math.abs(values[i]), 6f);
      int halves = (int) ((magnitude * 2 + ROUND) - ROUND);
      int ones = (int) ((magnitude + ROUND) - ROUND) + 2;
      int twos = (int) ((magnitude * 0.5f + ROUND) - ROUND) + 4;
      int value = bits[i];
      int notZero = -(value & 0x7FFFFFFF);
      int number = (value & 0x7FFFFFFF) - (INFINITY + 1);
      int sign = value & notZero & number;
      codes[i] = Math.min(halves, Math.min(ones, twos)) | ((sign >>> 28) & 8);
    }
  }

  /** {@code words = lower | upper << bits}, of the lowest bits of both. */
  static void join(int[] lower, int[] upper, int bits, int[] words, int count) {
    int mask = (1 << bits) - 1;
    for (int i = 0; i < count; i++) {
      words[i] = (lower[i] & mask) | ((upper[i] & mask) << bits);
    }
  }

  /**
   * Range of the keys of bfloat16 values, two a word, and 0. Keys are the bits of floats with the
   * magnitude of negative ones inverted: ordered as signed integers as the floats are, NaNs beyond
   * the infinities.
   *
   * @return largest key in the upper half, smallest in the lower
   */
  static long rangeBfloat16(int[] words, int from, int to) {
    int largest = 0;
    int smallest = 0;
    for (int i = from; i < to; i++) {
      int lower = words[i] << 16;
      int upper = words[i] & 0xFFFF0000;
      lower ^= (lower >> 31) >>> 1;
      upper ^= (upper >> 31) >>> 1;
      largest = Math.max(largest, Math.max(lower, upper));
      smallest = Math.min(smallest, Math.min(lower, upper));
    }
    return ((long) largest << 32) | (smallest & 0xFFFFFFFFL);
  }

  /** The same of float bits, one a word. */
  static long range(int[] bits, int from, int to) {
    int largest = 0;
    int smallest = 0;
    for (int i = from; i < to; i++) {
      int key = bits[i] ^ ((bits[i] >> 31) >>> 1);
      largest = Math.max(largest, key);
      smallest = Math.min(smallest, key);
    }
    return ((long) largest << 32) | (smallest & 0xFFFFFFFFL);
  }
}
