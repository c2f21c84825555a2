package dev.quench.quantization;

import dev.quench.tensor.DType;
import dev.quench.tensor.Float4E2M1;
import dev.quench.tensor.Float8E4M3;

/**
 * The factor G that NVFP4 multiplies all scales of a tensor with, so that the largest becomes
 * E4M3's largest value. Behaviour reference §3.7.
 */
public final class GlobalScale {
  /** G where there is none. */
  public static final float NONE = 1;

  /** The largest value of a code times the largest of a scale. */
  private static final float RANGE = Float8E4M3.MAX * Float4E2M1.MAX;

  private GlobalScale() {}

  /**
   * {@code (1 / magnitude) · 2688}, each operation rounded to {@code dtype}; 1 if that is too large
   * for it, or NaN.
   *
   * @param magnitude the largest of the tensor, or of the tensors that share the global scale
   * @param dtype D: the dtype of the tensor
   */
  public static float of(float magnitude, DType dtype) {
    float smallest = dtype == DType.F16 ? 0x1p-14f : Float.MIN_NORMAL;
    float inverse = Rounding.to(dtype, 1 / Math.max(magnitude, smallest));
    float scale = Rounding.to(dtype, inverse * RANGE);
    return Float.isFinite(scale) ? scale : NONE;
  }
}
