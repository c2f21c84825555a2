package dev.quench.model;

import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import java.util.ArrayList;
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

  /** Name of the attention module. */
  public String attention() {
    return prefix + "self_attn";
  }

  /** Name of the weight that an attention module's scales have the dtype of. */
  public String keyWeight() {
    return k.weight();
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

  /** Names of all that {@link #load} loads. */
  public List<String> tensors() {
    List<String> names = new ArrayList<>(norms());
    for (LinearSpec linear : linears()) {
      names.add(linear.weight());
      if (linear.bias()) {
        names.add(linear.biasName());
      }
    }
    return names;
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
  public List<Step> steps(Compute compute, RotaryTables rotary) {
    return List.of(
        new QkvStep(compute, rotary),
        new OutputStep(compute),
        new GateUpStep(compute),
        new DownStep(compute));
  }

  private Tensor normed(
      Compute compute, Tensor hidden, String norm, LayerWeights weights, Scope scope) {
    return compute.rmsNorm(hidden, weights.get(norm), architecture.normEpsilon(), scope);
  }

  private final class QkvStep implements Step {
    private final Compute compute;
    private final RotaryTables rotary;

    QkvStep(Compute compute, RotaryTables rotary) {
      this.compute = compute;
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
      return normed(compute, batch.hidden(), inputNorm(), weights, scope);
    }

    @Override
    public void apply(TokenBatch batch, Tensor input, LayerWeights weights, Scope scope) {
      Tensor queries = compute.linear(q, input, weights, scope);
      Tensor keys = compute.linear(k, input, weights, scope);
      Tensor values = compute.linear(v, input, weights, scope);
      int headDim = architecture.attention().headDim();
      compute.rope(queries, headDim, batch.positions(), rotary);
      compute.rope(keys, headDim, batch.positions(), rotary);
      Tensor attended = batch.side().columns(0, q.outFeatures());
      compute.attention(
          attention(), queries, keys, values, architecture.attention(), batch.starts(), attended);
    }
  }

  private final class OutputStep implements Step {
    private final Compute compute;

    OutputStep(Compute compute) {
      this.compute = compute;
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
      compute.residual(o, input, weights, batch.hidden(), scope);
    }
  }

  private final class GateUpStep implements Step {
    private final Compute compute;

    GateUpStep(Compute compute) {
      this.compute = compute;
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
      return normed(compute, batch.hidden(), mlpNorm(), weights, scope);
    }

    @Override
    public void apply(TokenBatch batch, Tensor input, LayerWeights weights, Scope scope) {
      Tensor gates = compute.linear(gate, input, weights, scope);
      Tensor inner = batch.side().columns(0, down.inFeatures());
      compute.linear(up, input, weights, inner);
      compute.gated(architecture.activation(), gates, inner, inner);
    }
  }

  private final class DownStep implements Step {
    private final Compute compute;

    DownStep(Compute compute) {
      this.compute = compute;
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
      compute.residual(down, input, weights, batch.hidden(), scope);
    }
  }
}
