package dev.quench.recipe;

import java.util.List;

/**
 * {@code GPTQModifier}. Behaviour reference §4.2. The order of columns is in the weights of the
 * schemes, where config.json has it too.
 *
 * @param blockSize columns after which errors are carried to the rest of the matrix
 * @param dampeningFraction share of the mean diagonal that is added to the Hessian's diagonal
 */
public record GptqSpec(
    String origin,
    QuantizationTargets quantization,
    int blockSize,
    double dampeningFraction,
    List<String> notes)
    implements ModifierSpec {
  /** llm-compressor's. */
  public static final int DEFAULT_BLOCK_SIZE = 128;

  /** llm-compressor's. */
  public static final double DEFAULT_DAMPENING_FRACTION = 0.01;

  static final String NAME = "GPTQModifier";

  public GptqSpec {
    notes = List.copyOf(notes);
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public GptqSpec withQuantization(QuantizationTargets other) {
    return new GptqSpec(origin, other, blockSize, dampeningFraction, notes);
  }
}
