package dev.quench.model;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One decoder layer in the pre-norm form: h += o(attention(qkv(norm(h)))), then h +=
 * down(act(gate(norm(h)))·up(norm(h))). It knows names and sizes, not weights.
 */
public final class DecoderLayer {
  private final Architecture architecture;
  private final String prefix;
  private final LinearSpec q;
  private final LinearSpec k;
  private final LinearSpec v;
  private final LinearSpec o;
  private final LinearSpec gate;
  private final LinearSpec up;
  private final LinearSpec down;

  DecoderLayer(Architecture architecture, int index) {
    this.architecture = architecture;
    this.prefix = "model.layers." + index + ".";
    long hidden = architecture.hiddenSize();
    long inner = architecture.intermediateSize();
    long headDim = architecture.attention().headDim();
    long query = architecture.attention().heads() * headDim;
    long key = architecture.attention().keyHeads() * headDim;
    boolean bias = architecture.attentionBias();
    q = new LinearSpec(prefix + "self_attn.q_proj", query, hidden, bias);
    k = new LinearSpec(prefix + "self_attn.k_proj", key, hidden, bias);
    v = new LinearSpec(prefix + "self_attn.v_proj", key, hidden, bias);
    o = new LinearSpec(prefix + "self_attn.o_proj", hidden, query, bias);
    gate = new LinearSpec(prefix + "mlp.gate_proj", inner, hidden, architecture.mlpBias());
    up = new LinearSpec(prefix + "mlp.up_proj", inner, hidden, architecture.mlpBias());
    down = new LinearSpec(prefix + "mlp.down_proj", hidden, inner, architecture.mlpBias());
  }

  /** Prefix of all names of this layer, such as {@code model.layers.3.}. */
  public String prefix() {
    return prefix;
  }

  /** All linears, in the order in which the forward pass meets them. */
  public List<LinearSpec> linears() {
    return List.of(q, k, v, o, gate, up, down);
  }

  /** The same, grouped by the tensor that they read. */
  public List<List<LinearSpec>> stepLinears() {
    return List.of(List.of(q, k, v), List.of(o), List.of(gate, up), List.of(down));
  }

  /** Names of the weights of the layer's norms, each [hidden]. */
  public List<String> norms() {
    return List.of(inputNorm(), mlpNorm());
  }

  private String inputNorm() {
    return prefix + "input_layernorm.weight";
  }

  private String mlpNorm() {
    return prefix + "post_attention_layernorm.weight";
  }

  /** Loads all of the layer's weights as F32. */
  public LayerWeights load(WeightSource source, Scope scope) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (String norm : norms()) {
      tensors.put(norm, source.load(norm, 1, architecture.hiddenSize(), scope));
    }
    for (LinearSpec linear : linears()) {
      tensors.put(
          linear.weight(),
          source.load(linear.weight(), linear.outFeatures(), linear.inFeatures(), scope));
      if (linear.bias()) {
        tensors.put(
            linear.biasName(), source.load(linear.biasName(), 1, linear.outFeatures(), scope));
      }
    }
    return new LayerWeights(tensors);
  }

  /** Columns that {@link TokenBatch#side} needs. */
  public static long sideWidth(Architecture architecture) {
    return Math.max(
        (long) architecture.attention().heads() * architecture.attention().headDim(),
        architecture.intermediateSize());
  }

  /** The layer's steps in order: qkv, o, gate_up, down. */
  public List<Step> steps(Device device, RotaryTables rotary) {
    Linears linears = new Linears(device);
    return List.of(
        new QkvStep(device, linears, rotary),
        new OutputStep(linears),
        new GateUpStep(device, linears),
        new DownStep(linears));
  }

  private Tensor normed(
      Device device, Tensor hidden, String norm, LayerWeights weights, Scope scope) {
    Tensor x = scope.allocate(DType.F32, hidden.rows(), hidden.columns());
    device.rmsNorm(hidden, weights.get(norm), architecture.normEpsilon(), x);
    return x;
  }

  private final class QkvStep implements Step {
    private final Device device;
    private final Linears linears;
    private final RotaryTables rotary;

    QkvStep(Device device, Linears linears, RotaryTables rotary) {
      this.device = device;
      this.linears = linears;
      this.rotary = rotary;
    }

    @Override
    public String name() {
      return "qkv";
    }

    @Override
    public List<LinearSpec> linears() {
      return List.of(q, k, v);
    }

    @Override
    public Tensor input(TokenBatch batch, LayerWeights weights, Scope scope) {
      return normed(device, batch.hidden(), inputNorm(), weights, scope);
    }

    @Override
    public void apply(TokenBatch batch, Tensor input, LayerWeights weights, Scope scope) {
      Tensor queries = linears.apply(q, input, weights, scope);
      Tensor keys = linears.apply(k, input, weights, scope);
      Tensor values = linears.apply(v, input, weights, scope);
      int headDim = architecture.attention().headDim();
      device.rope(queries, headDim, batch.positions(), rotary.cos(), rotary.sin());
      device.rope(keys, headDim, batch.positions(), rotary.cos(), rotary.sin());
      Tensor attended = batch.side().columns(0, q.outFeatures());
      device.attention(queries, keys, values, architecture.attention(), batch.starts(), attended);
    }
  }

  private final class OutputStep implements Step {
    private final Linears linears;

    OutputStep(Linears linears) {
      this.linears = linears;
    }

    @Override
    public String name() {
      return "o";
    }

    @Override
    public List<LinearSpec> linears() {
      return List.of(o);
    }

    @Override
    public Tensor input(TokenBatch batch, LayerWeights weights, Scope scope) {
      return batch.side().columns(0, o.inFeatures());
    }

    @Override
    public void apply(TokenBatch batch, Tensor input, LayerWeights weights, Scope scope) {
      linears.accumulate(o, input, weights, batch.hidden());
    }
  }

  private final class GateUpStep implements Step {
    private final Device device;
    private final Linears linears;

    GateUpStep(Device device, Linears linears) {
      this.device = device;
      this.linears = linears;
    }

    @Override
    public String name() {
      return "gate_up";
    }

    @Override
    public List<LinearSpec> linears() {
      return List.of(gate, up);
    }

    @Override
    public Tensor input(TokenBatch batch, LayerWeights weights, Scope scope) {
      return normed(device, batch.hidden(), mlpNorm(), weights, scope);
    }

    @Override
    public void apply(TokenBatch batch, Tensor input, LayerWeights weights, Scope scope) {
      Tensor gates = linears.apply(gate, input, weights, scope);
      Tensor inner = batch.side().columns(0, down.inFeatures());
      linears.into(up, input, weights, inner);
      device.gatedActivation(architecture.activation(), gates, inner, inner);
    }
  }

  private final class DownStep implements Step {
    private final Linears linears;

    DownStep(Linears linears) {
      this.linears = linears;
    }

    @Override
    public String name() {
      return "down";
    }

    @Override
    public List<LinearSpec> linears() {
      return List.of(down);
    }

    @Override
    public Tensor input(TokenBatch batch, LayerWeights weights, Scope scope) {
      return batch.side().columns(0, down.inFeatures());
    }

    @Override
    public void apply(TokenBatch batch, Tensor input, LayerWeights weights, Scope scope) {
      linears.accumulate(down, input, weights, batch.hidden());
    }
  }
}
