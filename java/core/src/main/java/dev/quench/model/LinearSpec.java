package dev.quench.model;

/**
 * A linear module, y = x·Wᵀ + b.
 *
 * @param name fully qualified module name, such as {@code model.layers.0.self_attn.q_proj}
 * @param outFeatures rows of the weight
 * @param inFeatures columns of the weight
 */
public record LinearSpec(String name, long outFeatures, long inFeatures, boolean bias) {
  /** Name of the weight tensor in the checkpoint. */
  public String weight() {
    return name + ".weight";
  }

  /** Name of the bias tensor in the checkpoint; there is one only if {@link #bias}. */
  public String biasName() {
    return name + ".bias";
  }
}
