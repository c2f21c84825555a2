package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs.ActOrder;
import dev.quench.quantization.QuantizationScheme;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What is to be done to a model.
 *
 * @param modifiers in the order in which they apply
 * @param source YAML text that says the same; what a compressed checkpoint's {@code recipe.yaml}
 *     holds
 */
public record Recipe(List<ModifierSpec> modifiers, String source) {
  /** Config group of a scheme that is given by name. */
  static final String FIRST_GROUP = "group_0";

  /** How codes are found. */
  public enum Method {
    RTN(QuantizationSpec.NAME),
    GPTQ(GptqSpec.NAME);

    private final String modifier;

    Method(String modifier) {
      this.modifier = modifier;
    }
  }

  public Recipe {
    modifiers = List.copyOf(modifiers);
  }

  /**
   * All linears in one preset scheme, with the method's defaults.
   *
   * @param scheme name of a preset, in any case
   * @param ignore entries for modules that stay as they are, mostly {@code lm_head}
   * @throws InvalidInputException if there is no such scheme, or it can't be executed yet
   */
  public static Recipe of(String scheme, Method method, List<String> ignore) {
    String origin = "--scheme " + scheme;
    QuantizationScheme preset = preset(scheme, origin).withTargets(List.of(NamedModule.LINEAR));
    SchemeChecks.requireExecutable(preset, origin);
    if (method == Method.GPTQ) {
      SchemeChecks.requireGptq(preset.weights().orElseThrow(), origin);
    }
    ModifierSpec modifier =
        switch (method) {
          case RTN -> new QuantizationSpec(origin, targets(preset, ignore));
          case GPTQ ->
              new GptqSpec(
                  origin,
                  targets(
                      preset.withWeights(
                          preset
                              .weights()
                              .orElseThrow()
                              .withActOrder(Optional.of(ActOrder.STATIC))),
                      ignore),
                  GptqSpec.DEFAULT_BLOCK_SIZE,
                  GptqSpec.DEFAULT_DAMPENING_FRACTION,
                  List.of());
        };
    String source =
        """
        default_stage:
          default_modifiers:
            %s:
              targets: [Linear]
              ignore: [%s]
              scheme: %s
        """
            .formatted(
                method.modifier,
                String.join(", ", ignore.stream().map(Recipe::quoted).toList()),
                scheme);
    return new Recipe(List.of(modifier), source);
  }

  /**
   * The same with all weights stored in one format, where llm-compressor would take what it infers
   * or a group's own.
   *
   * @param where names who wants it, for messages
   * @throws InvalidInputException if the format can't hold some of the weights
   */
  public Recipe withFormat(CompressionFormat format, String where) {
    List<ModifierSpec> changed = new ArrayList<>();
    for (ModifierSpec modifier : modifiers) {
      Map<String, QuantizationScheme> groups = new LinkedHashMap<>();
      modifier
          .quantization()
          .groups()
          .forEach(
              (name, scheme) -> {
                if (scheme.weights().isEmpty()) {
                  groups.put(name, scheme);
                  return;
                }
                QuantizationScheme other = scheme.withFormat(format);
                SchemeChecks.requireExecutable(other, where + ": " + name);
                groups.put(name, other);
              });
      changed.add(
          modifier.withQuantization(
              new QuantizationTargets(
                  groups,
                  modifier.quantization().targets(),
                  modifier.quantization().ignore(),
                  modifier.quantization().cache())));
    }
    return new Recipe(changed, "# with --format " + format.configName() + "\n" + source);
  }

  static QuantizationScheme preset(String name, String where) {
    return PresetSchemes.find(name)
        .orElseThrow(
            () ->
                new InvalidInputException(
                    "%s: there is no scheme \"%s\".%s Use one of %s, or config_groups in a recipe."
                        .formatted(
                            where,
                            name,
                            NearMatches.hint(name, PresetSchemes.names()),
                            String.join(", ", PresetSchemes.names()))));
  }

  private static QuantizationTargets targets(QuantizationScheme scheme, List<String> ignore) {
    return new QuantizationTargets(
        Map.of(FIRST_GROUP, scheme), scheme.targets(), ignore, Optional.empty());
  }

  private static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }
}
