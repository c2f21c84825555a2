package dev.quench.model;

import dev.quench.device.Activation;
import dev.quench.device.AttentionSpec;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.Arrays;
import java.util.Map;

/**
 * The operations of a forward pass, with results as a model of that dtype would hold them:
 * everything is computed in F32, and rounded to {@code activations} after each operation if that is
 * narrower.
 *
 * @param activations F32, BF16 or F16
 * @param quantized how activations are quantized: the inputs of linears by the linears' names,
 *     states of attention by the module's name and {@link #QUERIES}, {@link #KEYS} or {@link
 *     #VALUES}
 * @param probe sees the states of attention, before they are quantized
 */
public record Compute(
    Device device,
    DType activations,
    Map<String, ActivationQuantization> quantized,
    AttentionProbe probe) {
  /** What the name of an attention module is followed by for its queries. */
  public static final String QUERIES = ".q";

  /** The same for its keys. */
  public static final String KEYS = ".k";

  /** The same for its values. */
  public static final String VALUES = ".v";

  public Compute {
    quantized = Map.copyOf(quantized);
  }

  /** No activations are quantized. */
  public Compute(Device device, DType activations) {
    this(device, activations, Map.of());
  }

  /** Nobody looks at attention. */
  public Compute(Device device, DType activations, Map<String, ActivationQuantization> quantized) {
    this(device, activations, quantized, AttentionProbe.NONE);
  }

  /** The same, seen by a probe. */
  public Compute observedBy(AttentionProbe other) {
    return new Compute(device, activations, quantized, other);
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
      device.gemm(1, asQuantized(linear.name(), x, scope), false, weight, true, beta, y);
    }
    if (linear.bias()) {
      device.addRow(weights.get(linear.biasName()), y);
    }
  }

  /** Activations as their codes stand for them, if they are quantized. */
  private Tensor asQuantized(String name, Tensor x, Scope scope) {
    ActivationQuantization quantization = quantized.get(name);
    return quantization == null ? x : quantization.apply(device, x, scope);
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

  /** Attention of the module of that name. */
  void attention(
      String module, Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    probe.observe(module, q, k, v, starts);
    try (Scope scope = device.openScope()) {
      device.attention(
          asQuantized(module + QUERIES, q, scope),
          asQuantized(module + KEYS, k, scope),
          asQuantized(module + VALUES, v, scope),
          spec,
          starts,
          y);
    }
    settle(y);
  }

  /** {@code y = activation(gate) · up}. */
  void gated(Activation activation, Tensor gate, Tensor up, Tensor y) {
    device.gatedActivation(activation, gate, up, y);
    settle(y);
  }
}
