package dev.quench.calibration;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;

/**
 * The second derivative of a linear's squared output error with respect to a row of its weight: H =
 * 2/N · Σ xᵀx over the tokens of N sequences (Frantar et al. 2022, §3). It depends on the input
 * alone, so all linears that read the same tensor share one. Only the lower triangle of the sum is
 * kept; the factor 2/N is left to {@link #lossFactor}, since neither rounding nor relative damping
 * depend on it.
 */
public final class Hessian {
  private final Device device;
  private final Tensor sum;
  private long sequences;

  /** Zero, for inputs of {@code features} columns; its memory belongs to {@code scope}. */
  public Hessian(Device device, long features, Scope scope) {
    this.device = device;
    this.sum = scope.zeros(DType.F32, features, features);
  }

  /** Adds the tokens x F32 [tokens, features] of {@code count} sequences. */
  public void add(Tensor x, long count) {
    device.syrk(x, sum);
    sequences += count;
  }

  /** Σ xᵀx: F32 [features, features], lower triangle. */
  public Tensor sum() {
    return sum;
  }

  public long features() {
    return sum.rows();
  }

  /** 2/N: what {@link #sum} must be multiplied by. */
  public double lossFactor() {
    return 2.0 / sequences;
  }
}
