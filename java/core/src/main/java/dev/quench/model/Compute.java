package dev.quench.model;

import dev.quench.device.Activation;
import dev.quench.device.AttentionSpec;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import java.util.Arrays;
import java.util.Map;

/**
 * The operations of a forward pass, with results as a model of that dtype would hold them:
 * everything is computed in F32, and rounded to {@code activations} after each operation if that is
 * narrower.
 *
 * @param activations F32, BF16 or F16
 * @param inputs how the inputs of linears are quantized, by the linears' names: each row (strategy
 *     token) or group of a row by the range that it has
 */
public record Compute(Device device, DType activations, Map<String, QuantizationArgs> inputs) {
  public Compute {
    inputs = Map.copyOf(inputs);
    inputs.forEach(
        (name, args) -> {
          if (!quantizesRows(args)) {
            throw new IllegalArgumentException(name + ": its inputs aren't quantized row by row");
          }
        });
  }

  /** Whether a row of an input, or a group of one, is quantized by itself. */
  public static boolean quantizesRows(QuantizationArgs args) {
    return args.dynamic() == QuantizationArgs.Dynamic.DYNAMIC
        && args.blockRows(Long.MAX_VALUE) == 1;
  }

  /** No input is quantized. */
  public Compute(Device device, DType activations) {
    this(device, activations, Map.of());
  }

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
    product(linear, x, weights, 0, y);
    settle(y);
  }

  /** {@code y = x·Wᵀ + b + beta·y}. */
  private void product(LinearSpec linear, Tensor x, LayerWeights weights, float beta, Tensor y) {
    try (Scope scope = device.openScope()) {
      Tensor weight = weights.get(linear.weight());
      device.gemm(1, asQuantized(linear, x, scope), false, weight, true, beta, y);
    }
    if (linear.bias()) {
      device.addRow(weights.get(linear.biasName()), y);
    }
  }

  /** The input as its codes stand for it, if it is quantized. */
  private Tensor asQuantized(LinearSpec linear, Tensor x, Scope scope) {
    QuantizationArgs args = inputs.get(linear.name());
    if (args == null) {
      return x;
    }
    long groups = Math.ceilDiv(x.columns(), args.blockColumns(x.columns()));
    Tensor scale = scope.allocate(args.scaleFormat().dtype(DType.F32), x.rows(), groups);
    Tensor zeroPoint = scope.allocate(DType.I8, x.rows(), groups);
    Tensor codes = scope.allocate(args.codeFormat().dtype(), x.rows(), x.columns());
    Tensor result = scope.allocate(DType.F32, x.rows(), x.columns());
    device.quantizeToNearest(x, args, scale, zeroPoint, codes);
    device.dequantize(codes, scale, zeroPoint, args, result);
    return result;
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
    product(linear, x, weights, 1, hidden);
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
