package dev.quench.model;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.List;
import java.util.Map;

/** What comes after the last decoder layer: a norm, then the projection to logits. */
public final class OutputProjection {
  private final Architecture architecture;
  private final LinearSpec head;

  public OutputProjection(Architecture architecture) {
    this.architecture = architecture;
    this.head = architecture.head();
  }

  /** Loads the norm and the projection, or the embedding where that serves as the projection. */
  public LayerWeights load(WeightSource source, Scope scope) {
    String stored = architecture.tiedEmbeddings() ? architecture.embedding() : head.weight();
    return new LayerWeights(
        Map.of(
            architecture.finalNorm(),
            source.load(architecture.finalNorm(), 1, architecture.hiddenSize(), scope),
            head.weight(),
            source.load(stored, head.outFeatures(), head.inFeatures(), scope)));
  }

  /** Logits F32 [tokens, vocabulary] of rows of the residual stream after the last layer. */
  public Tensor logits(Device device, Tensor hidden, LayerWeights weights, Scope scope) {
    Tensor input = normed(device, hidden, weights, scope);
    return new Linears(device).apply(head, input, weights, scope);
  }

  /** The projection as a step; it has no successor, so applying it does nothing. */
  public Step step(Device device) {
    return new Step() {
      @Override
      public String name() {
        return head.name();
      }

      @Override
      public List<LinearSpec> linears() {
        return List.of(head);
      }

      @Override
      public Tensor input(TokenBatch batch, LayerWeights weights, Scope scope) {
        return normed(device, batch.hidden(), weights, scope);
      }

      @Override
      public void apply(TokenBatch batch, Tensor input, LayerWeights weights, Scope scope) {}
    };
  }

  private Tensor normed(Device device, Tensor hidden, LayerWeights weights, Scope scope) {
    Tensor x = scope.allocate(DType.F32, hidden.rows(), hidden.columns());
    device.rmsNorm(hidden, weights.get(architecture.finalNorm()), architecture.normEpsilon(), x);
    return x;
  }
}
