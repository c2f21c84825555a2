package dev.quench.device;

import dev.quench.tensor.Bfloat16;

/**
 * The arithmetic of PyTorch 2.14 on a processor with AVX2 and without AVX-512, for operands in
 * bfloat16: values are widened to float32, sums run in the order of its vector lanes, and results
 * are rounded once. A product of two bfloat16 values is exact in float32, so it makes no difference
 * whether an addition is fused with it.
 *
 * <p>Sums have orders of their own for remainders. Those are left out: lengths that would have one
 * are refused.
 */
final class TorchBfloat16 {
  /** Float32 lanes of a register. */
  private static final int LANES = 8;

  /** Partial sums of a product of rows: eight registers. */
  private static final int DOT_SUMS = 8 * LANES;

  private TorchBfloat16() {}

  /** A product of two rows, as {@code linear} and {@code q·kᵀ} have them. */
  static float dot(float[] x, float[] y) {
    requireMultiple(x.length, DOT_SUMS);
    float[] sums = new float[DOT_SUMS];
    for (int from = 0; from < x.length; from += DOT_SUMS) {
      for (int i = 0; i < DOT_SUMS; i++) {
        sums[i] += x[from + i] * y[from + i];
      }
    }
    for (int half = DOT_SUMS / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; i++) {
        sums[i] += sums[half + i];
      }
    }
    return sums[0];
  }

  /**
   * {@code Σ weights[j] · rows[from + j][column]}, as {@code p·v} has it: four partial sums, taken
   * in turn. Rows of weight 0 after the last one given change nothing.
   */
  static float weightedSum(float[] weights, float[][] rows, int from, int column) {
    float[] sums = new float[4];
    for (int j = 0; j < weights.length; j++) {
      sums[j % 4] += weights[j] * rows[from + j][column];
    }
    return sums[0] + sums[1] + sums[2] + sums[3];
  }

  /**
   * Softmax in float32 of the first {@code count} elements, in place; the others are masked and
   * become 0.
   */
  static void softmax(float[] x, int count) {
    requireMultiple(x.length, LANES);
    float max = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      max = Math.max(max, x[i]);
    }
    float[] sums = new float[LANES];
    for (int i = 0; i < x.length; i++) {
      x[i] = i < count ? exp(x[i] - max) : 0;
      sums[i % LANES] += x[i];
    }
    for (int half = LANES / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; i++) {
        sums[i] += sums[half + i];
      }
    }
    float factor = 1 / sums[0];
    for (int i = 0; i < x.length; i++) {
      x[i] *= factor;
    }
  }

  /** {@code 1 / √(mean(x²) + epsilon)} in float32: four registers, taken in turn. */
  static float reciprocalNorm(float[] x, float epsilon) {
    requireMultiple(x.length, 4 * LANES);
    float[] sums = new float[4 * LANES];
    for (int i = 0; i < x.length; i++) {
      sums[i % sums.length] += x[i] * x[i];
    }
    float sum = 0;
    for (int lane = 0; lane < LANES; lane++) {
      sum += sums[lane] + sums[LANES + lane] + sums[2 * LANES + lane] + sums[3 * LANES + lane];
    }
    return 1 / (float) Math.sqrt(sum / x.length + epsilon);
  }

  /** {@code x / (1 + exp(−x))}, rounded to bfloat16. */
  static float silu(float x) {
    return Bfloat16.round(x / (1 + exp(-x)));
  }

  /**
   * The exponential in float32 with an error below one unit in the last place, as SLEEF computes
   * it: x is reduced by multiples of ln 2, which is split in two, then a polynomial.
   */
  static float exp(float x) {
    float multiple = (float) Math.rint(x * 1.4426950408889634f);
    float rest = Math.fma(multiple, -0.693145751953125f, x);
    rest = Math.fma(multiple, -1.428606765330187045e-06f, rest);
    float series = 0.000198527617612853646278381f;
    series = Math.fma(series, rest, 0.00139304355252534151077271f);
    series = Math.fma(series, rest, 0.00833336077630519866943359f);
    series = Math.fma(series, rest, 0.0416664853692054748535156f);
    series = Math.fma(series, rest, 0.166666671633720397949219f);
    series = Math.fma(series, rest, 0.5f);
    float mantissa = 1 + Math.fma(rest * rest, series, rest);
    if (x < -104) {
      return 0;
    }
    if (x > 104) {
      return Float.POSITIVE_INFINITY;
    }
    int exponent = (int) multiple;
    int half = exponent >> 1;
    return mantissa * Math.scalb(1f, half) * Math.scalb(1f, exponent - half);
  }

  private static void requireMultiple(int length, int of) {
    if (length % of != 0) {
      throw new IllegalArgumentException("a row of " + length + " isn't a multiple of " + of);
    }
  }
}
