package dev.quench.quantization;

import dev.quench.tensor.DType;
import java.util.Optional;

/**
 * Finds the range of a block of elements that makes the error of rounding them smallest:
 * llm-compressor's {@code mse} and {@code imatrix_mse} observers. Behaviour reference §1.7.
 *
 * <p>Step i tries the range times {@code 1 − i/grid}. The error of a block is Σ |q − x|^norm, and
 * the first step of the least error counts. The search ends for all blocks of a tensor when {@code
 * patience} steps in a row made none of them better.
 *
 * <p>All arithmetic is rounded to the dtype D of the elements, the exponent too. The errors of a
 * row of a block, in F32, go to 16 partial sums in turn, which are then added in pairs, eight to
 * eight, four to four and so on; rows are added in F64, in order, and the sum is rounded to D.
 *
 * <p>Errors may be weighed by the importance of their columns: Σ importance · |q − x|^norm. Then
 * ranges, scales and q are still those of D, but differences, powers, products and the sum of a
 * block are those of F32.
 *
 * @param steps how many ranges are tried, at least 1
 * @param grid steps from the whole range to none
 * @param expansion factor of the first range
 * @param norm exponent of the errors
 * @param patience steps without any better block after which the search ends
 */
public record RangeSearch(int steps, int grid, float expansion, double norm, int patience) {
  /** Partial sums of a row. */
  public static final int PARTIAL_SUMS = 16;

  /** The end of a range that step i tries. */
  public float shrunk(float end, int step, DType dtype) {
    float factor = (float) (1 - (double) step / grid);
    return Rounding.to(dtype, Rounding.to(dtype, end * expansion) * factor);
  }

  /** What a difference adds to the error. */
  public float power(float difference, DType dtype) {
    float exponent = Rounding.to(dtype, (float) norm);
    return Rounding.to(dtype, (float) StrictMath.pow(Math.abs(difference), exponent));
  }

  /** The power of a difference whose error is weighed. */
  public float weighedPower(float difference) {
    double d = Math.abs(difference);
    if (norm == 3) {
      return (float) (d * d * d);
    }
    return (float) (norm == 2 ? d * d : StrictMath.pow(d, norm));
  }

  /**
   * How candidates are rounded: with scales in E4M3, as if they weren't rounded, since the global
   * scale isn't known yet.
   */
  public static QuantizationArgs candidate(QuantizationArgs args) {
    return args.scaleFormat() == ScaleFormat.E4M3 ? args.withScaleDtype(Optional.empty()) : args;
  }

  /** Scale and zero point that step i tries for a block of that range. */
  public QuantizationParameters parameters(
      float min, float max, int step, QuantizationArgs candidate, DType dtype) {
    return QuantizationParameters.of(
        shrunk(min, step, dtype), shrunk(max, step, dtype), candidate, GlobalScale.NONE, dtype);
  }

  /** Adds partial sums in pairs; they are garbage then. */
  public static float sum(float[] partial) {
    for (int half = PARTIAL_SUMS / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; i++) {
        partial[i] += partial[i + half];
      }
    }
    return partial[0];
  }

  /** The largest error that can be beaten. */
  public static float worst(DType dtype) {
    return switch (dtype) {
      case BF16 -> 0x1.FEp127f;
      case F16 -> 65504;
      default -> Float.MAX_VALUE;
    };
  }
}
