package dev.quench.model;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;

/** Applies linear modules: y = x·Wᵀ + b in F32. */
final class Linears {
  private final Device device;

  Linears(Device device) {
    this.device = device;
  }

  /** The result in a fresh tensor of the scope. */
  Tensor apply(LinearSpec linear, Tensor x, LayerWeights weights, Scope scope) {
    Tensor y = scope.allocate(DType.F32, x.rows(), linear.outFeatures());
    into(linear, x, weights, y);
    return y;
  }

  /** {@code y = x·Wᵀ + b}. */
  void into(LinearSpec linear, Tensor x, LayerWeights weights, Tensor y) {
    product(linear, x, weights, 0, y);
  }

  /** {@code y += x·Wᵀ + b}. */
  void accumulate(LinearSpec linear, Tensor x, LayerWeights weights, Tensor y) {
    product(linear, x, weights, 1, y);
  }

  private void product(LinearSpec linear, Tensor x, LayerWeights weights, float beta, Tensor y) {
    device.gemm(1, x, false, weights.get(linear.weight()), true, beta, y);
    if (linear.bias()) {
      device.addRow(weights.get(linear.biasName()), y);
    }
  }
}
