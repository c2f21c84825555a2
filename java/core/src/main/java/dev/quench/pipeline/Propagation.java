package dev.quench.pipeline;

/** What the calibration tokens have been through when they reach a linear. */
public enum Propagation {
  /** Everything before it, compressed: one pass, step by step through a layer. */
  STEP,
  /**
   * The layers before it compressed, its own layer as it was: llm-compressor's order, in two
   * passes. Weights that were rounded to nearest don't show in what follows.
   */
  LAYER;

  /** Whether what a step hands to the next outlives the visit of a batch. */
  ActivationStore.Side side() {
    return switch (this) {
      case STEP -> ActivationStore.Side.KEPT;
      case LAYER -> ActivationStore.Side.TRANSIENT;
    };
  }
}
