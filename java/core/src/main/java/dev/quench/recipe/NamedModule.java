package dev.quench.recipe;

import java.util.Locale;

/**
 * A module of a model, as targets see it.
 *
 * @param name fully qualified, such as {@code model.layers.0.self_attn.q_proj}
 * @param className such as {@code Linear} or {@code LlamaDecoderLayer}
 */
public record NamedModule(String name, String className) {
  /** Class of most modules that can be quantized. */
  public static final String LINEAR = "Linear";

  /** Class of the tables that tokens are looked up in, which can be quantized too. */
  public static final String EMBEDDING = "Embedding";

  /** Whether it has keys and values that a runtime may cache. */
  public boolean isAttention() {
    return className.toLowerCase(Locale.ROOT).contains("attention");
  }

  public static NamedModule linear(String name) {
    return new NamedModule(name, LINEAR);
  }
}
