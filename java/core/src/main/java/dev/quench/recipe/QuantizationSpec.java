package dev.quench.recipe;

import java.util.List;

/** {@code QuantizationModifier}: round to nearest. Behaviour reference §4.1. */
public record QuantizationSpec(String origin, QuantizationTargets quantization)
    implements ModifierSpec {
  static final String NAME = "QuantizationModifier";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public QuantizationSpec withQuantization(QuantizationTargets other) {
    return new QuantizationSpec(origin, other);
  }

  @Override
  public List<String> notes() {
    return List.of();
  }
}
