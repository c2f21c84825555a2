package dev.quench.model;

import dev.quench.device.Activation;
import dev.quench.device.AttentionSpec;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.Arrays;

/**
 * The operations of a forward pass, with results as a model of that dtype would hold them:
 * everything is computed in F32, and rounded to {@code activations} after each operation if that is
 * narrower.
 *
 * @param activations F32, BF16 or F16
 */
public record Compute(Device device, DType activations) {
  /** Nothing is rounded. */
  public static Compute exact(Device device) {
    return new Compute(device, DType.F32);
  }

  private boolean rounds() {
    return activations != DType.F32;
  }

  /** Rounds a result. */
  void settle(Tensor x) {
    if (rounds()) {
      device.round(x, activations);
    }
  }

  /** {@code y = x·Wᵀ + b}. */
  void linear(LinearSpec linear, Tensor x, LayerWeights weights, Tensor y) {
    device.gemm(1, x, false, weights.get(linear.weight()), true, 0, y);
    if (linear.bias()) {
      device.addRow(weights.get(linear.biasName()), y);
    }
    settle(y);
  }

  /** The same, in a fresh tensor of the scope. */
  Tensor linear(LinearSpec linear, Tensor x, LayerWeights weights, Scope scope) {
    Tensor y = scope.allocate(DType.F32, x.rows(), linear.outFeatures());
    linear(linear, x, weights, y);
    return y;
  }

  /** {@code hidden += x·Wᵀ + b}: a linear whose result goes to the residual stream. */
  void residual(LinearSpec linear, Tensor x, LayerWeights weights, Tensor hidden, Scope scope) {
    if (rounds()) {
      device.add(linear(linear, x, weights, scope), hidden);
      settle(hidden);
      return;
    }
    device.gemm(1, x, false, weights.get(linear.weight()), true, 1, hidden);
    if (linear.bias()) {
      device.addRow(weights.get(linear.biasName()), hidden);
    }
  }

  /**
   * RMSNorm in a fresh tensor; what is rounded is rounded before the weight is applied, and after.
   */
  Tensor rmsNorm(Tensor x, Tensor weight, float epsilon, Scope scope) {
    Tensor y = scope.allocate(DType.F32, x.rows(), x.columns());
    if (rounds()) {
      float[] ones = new float[Math.toIntExact(x.columns())];
      Arrays.fill(ones, 1);
      device.rmsNorm(x, scope.floats(ones), epsilon, y);
      settle(y);
      device.scaleColumns(weight, y);
      settle(y);
    } else {
      device.rmsNorm(x, weight, epsilon, y);
    }
    return y;
  }

  /** Rotary positions, in place. */
  void rope(Tensor x, int headDim, Tensor positions, RotaryTables rotary) {
    device.rope(x, headDim, positions, rotary.cos(), rotary.sin());
    settle(x);
  }

  void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    device.attention(q, k, v, spec, starts, y);
    settle(y);
  }

  /** {@code y = activation(gate) · up}. */
  void gated(Activation activation, Tensor gate, Tensor up, Tensor y) {
    device.gatedActivation(activation, gate, up, y);
    settle(y);
  }
}
