package dev.quench.recipe;

import java.util.List;

/** What a recipe asks for, one modifier of it. */
public sealed interface ModifierSpec permits QuantizationSpec, GptqSpec {
  /** Name in recipes, such as {@code GPTQModifier}. */
  String name();

  /** Where the user asked for it, such as {@code recipe.yaml, line 3}; for messages. */
  String origin();

  /** Which modules it works on, and their schemes. */
  QuantizationTargets quantization();

  /** The same for other modules or schemes. */
  ModifierSpec withQuantization(QuantizationTargets other);

  /** Sentences about settings that are accepted and change nothing. */
  List<String> notes();
}
