package dev.quench.pipeline;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.model.Architecture;
import dev.quench.model.Compute;
import dev.quench.model.DecoderLayer;
import dev.quench.model.LayerWeights;
import dev.quench.model.OutputProjection;
import dev.quench.model.RotaryTables;
import dev.quench.model.Step;
import dev.quench.model.WeightSource;

/**
 * Runs a model layer by layer over all batches, so that one layer's weights are in memory at a
 * time.
 */
final class ForwardPass implements AutoCloseable {
  private final Device device;
  private final Compute compute;
  private final Architecture architecture;
  private final WeightSource source;
  private final ActivationStore store;
  private final Scope scope;
  private final RotaryTables rotary;

  /** Doesn't own the store or the source. */
  ForwardPass(
      Compute compute, Architecture architecture, WeightSource source, ActivationStore store) {
    this.compute = compute;
    this.device = compute.device();
    this.architecture = architecture;
    this.source = source;
    this.store = store;
    this.scope = device.openScope();
    long longest = 1;
    for (int b = 0; b < store.batches(); b++) {
      for (int position : store.batch(b).positions()) {
        longest = Math.max(longest, position + 1L);
      }
    }
    this.rotary =
        RotaryTables.of(
            architecture.rope(), architecture.attention().headDim(), longest, compute, scope);
  }

  Compute compute() {
    return compute;
  }

  RotaryTables rotary() {
    return rotary;
  }

  /** Fills the store with the embeddings of the tokens. */
  void embed() {
    for (int b = 0; b < store.batches(); b++) {
      try (ActivationStore.Visit visit = store.visit(b)) {
        source.gatherRows(
            architecture.embedding(),
            architecture.vocabularySize(),
            architecture.hiddenSize(),
            store.batch(b).ids(),
            visit.tokens().hidden());
      }
    }
  }

  /** Loads a layer and runs all batches through it. */
  void layer(int index) {
    try (Scope layerScope = device.openScope()) {
      DecoderLayer layer = architecture.layer(index);
      LayerWeights weights = layer.load(source, layerScope);
      if (index + 1 < architecture.layers()) {
        source.prefetch(architecture.layer(index + 1).tensors());
      }
      layer(layer, weights);
    }
  }

  /** Runs all batches through a layer with those weights. */
  void layer(DecoderLayer layer, LayerWeights weights) {
    for (int b = 0; b < store.batches(); b++) {
      try (ActivationStore.Visit visit = store.visit(b)) {
        for (Step step : layer.steps(compute, rotary)) {
          try (Scope work = device.openScope()) {
            Tensor input = step.input(visit.tokens(), weights, work);
            step.apply(visit.tokens(), input, weights, work);
          }
        }
      }
    }
  }

  /** The final norm and the output projection, with their weights. */
  final class Head implements AutoCloseable {
    private final Scope headScope = device.openScope();
    private final OutputProjection projection = new OutputProjection(architecture);
    private final LayerWeights weights = projection.load(source, headScope);

    /** Logits F32 [tokens, vocabulary] of some rows of the residual stream after the last layer. */
    Tensor logits(Tensor hidden, Scope work) {
      return projection.logits(compute, hidden, weights, work);
    }

    @Override
    public void close() {
      headScope.close();
    }
  }

  Head head() {
    return new Head();
  }

  @Override
  public void close() {
    scope.close();
  }
}
