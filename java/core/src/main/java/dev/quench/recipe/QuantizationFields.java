package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgsReader;
import dev.quench.quantization.QuantizationScheme;
import dev.quench.recipe.RecipeNode.Mapping;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Reads the fields that all quantizing modifiers share. Behaviour reference §1.4, "Q-args". What
 * can't be executed yet is an error that names the field.
 */
final class QuantizationFields {
  static final Set<String> NAMES =
      Set.of(
          "config_groups",
          "targets",
          "ignore",
          "scheme",
          "kv_cache_scheme",
          "weight_observer",
          "input_observer",
          "output_observer",
          "observer",
          "bypass_divisibility_checks");

  private static final List<String> DEFAULT_TARGETS = List.of(NamedModule.LINEAR);
  private static final Set<String> GROUP_FIELDS =
      Set.of("targets", "weights", "input_activations", "output_activations", "format");

  private final RecipeFields fields;

  /**
   * @param fields those of the modifier, known to be legal
   */
  QuantizationFields(RecipeFields fields) {
    this.fields = fields;
  }

  /**
   * Reads which modules are quantized, and how.
   *
   * @param adjust gets each scheme and what to call it in messages, and has the last word on it
   * @return without groups if the recipe gives neither a scheme nor config groups
   */
  QuantizationTargets read(BiFunction<QuantizationScheme, String, QuantizationScheme> adjust) {
    if (fields.bool("bypass_divisibility_checks").orElse(false)) {
      throw fields.error(
          "bypass_divisibility_checks",
          "is not supported yet; choose a group_size that divides the columns");
    }
    List<String> ignore = fields.strings("ignore").orElse(List.of());
    Observers observers = observers();
    Map<String, QuantizationScheme> groups = new LinkedHashMap<>();
    groups()
        .forEach(
            (name, group) -> {
              QuantizationScheme scheme = observers.applyTo(group.scheme);
              SchemeChecks.requireExecutable(scheme, group.where);
              groups.put(name, adjust.apply(scheme, group.where));
            });
    List<String> targets =
        groups.isEmpty()
            ? fields.strings("targets").orElse(DEFAULT_TARGETS)
            : groups.values().stream().flatMap(group -> group.targets().stream()).toList();
    return new QuantizationTargets(groups, targets, ignore, cache());
  }

  private Optional<QuantizationArgs> cache() {
    Optional<QuantizationArgs> cache =
        args(fields, "kv_cache_scheme", QuantizationArgsReader::readCache);
    cache.ifPresent(args -> SchemeChecks.requireStates(args, fields.where("kv_cache_scheme")));
    return cache;
  }

  private record Group(QuantizationScheme scheme, String where) {}

  private Map<String, Group> groups() {
    Optional<RecipeNode> scheme = fields.node("scheme");
    if (scheme.isPresent() && fields.node("config_groups").isPresent()) {
      throw fields.error("scheme", "can't stand beside config_groups; keep one of them");
    }
    if (scheme.isPresent() && scheme.get().value() instanceof String name) {
      QuantizationScheme preset = Recipe.preset(name, fields.where("scheme"));
      List<String> targets = fields.strings("targets").orElse(DEFAULT_TARGETS);
      requireTargets(targets, fields, "targets");
      return Map.of(
          Recipe.FIRST_GROUP, new Group(preset.withTargets(targets), fields.where("scheme")));
    }
    if (scheme.isPresent()) {
      refuseTargetsBeside("a map of schemes");
      return presetGroups();
    }
    if (fields.node("config_groups").isPresent()) {
      refuseTargetsBeside("config_groups");
      return configGroups();
    }
    return Map.of();
  }

  /** llm-compressor ignores them silently. */
  private void refuseTargetsBeside(String other) {
    if (!fields.strings("targets").orElse(DEFAULT_TARGETS).equals(DEFAULT_TARGETS)) {
      throw fields.error(
          "targets", "has no effect beside " + other + ", which has targets of its own");
    }
  }

  private Map<String, Group> presetGroups() {
    RecipeFields presets =
        fields
            .node("scheme")
            .filter(Mapping.class::isInstance)
            .flatMap(node -> fields.fields("scheme"))
            .orElseThrow(
                () ->
                    fields.error(
                        "scheme",
                        "must be the name of a scheme, or a map of such names to targets"));
    Map<String, Group> groups = new LinkedHashMap<>();
    for (String name : presets.mapping().entries().keySet()) {
      groups.put("group_" + groups.size(), preset(name, presets));
    }
    requireGroups(groups, "scheme");
    return groups;
  }

  private Map<String, Group> configGroups() {
    RecipeFields all = fields.fields("config_groups").orElseThrow();
    Map<String, Group> groups = new LinkedHashMap<>();
    all.mapping()
        .entries()
        .forEach(
            (name, entry) ->
                groups.put(
                    name, entry.node() instanceof Mapping ? group(name, all) : preset(name, all)));
    requireGroups(groups, "config_groups");
    return groups;
  }

  /** A preset's name and the targets that it's for. */
  private static Group preset(String name, RecipeFields parent) {
    QuantizationScheme preset = Recipe.preset(name, parent.where(name));
    List<String> targets = parent.strings(name).orElse(List.of());
    requireTargets(targets, parent, name);
    return new Group(preset.withTargets(targets), parent.where(name));
  }

  private static Group group(String name, RecipeFields parent) {
    RecipeFields group = parent.fields(name).orElseThrow();
    group.requireKnown(GROUP_FIELDS);
    List<String> targets = group.strings("targets").orElse(List.of());
    requireTargets(targets, group, "targets");
    Optional<CompressionFormat> format =
        group
            .string("format")
            .map(
                text ->
                    CompressionFormat.of(text)
                        .orElseThrow(
                            () ->
                                group.error(
                                    "format",
                                    "\"%s\" doesn't exist.%s Legal are %s"
                                        .formatted(
                                            text,
                                            NearMatches.hint(text, CompressionFormat.names()),
                                            String.join(", ", CompressionFormat.names())))));
    Optional<QuantizationArgs> weights = args(group, "weights", QuantizationArgsReader::read);
    Optional<QuantizationArgs> inputs =
        args(group, "input_activations", QuantizationArgsReader::readActivations);
    Optional<QuantizationArgs> outputs =
        args(group, "output_activations", QuantizationArgsReader::readActivations);
    try {
      return new Group(
          new QuantizationScheme(targets, weights, inputs, outputs, format), parent.where(name));
    } catch (InvalidInputException e) {
      throw new InvalidInputException(parent.where(name) + ": " + e.getMessage() + ".", e);
    }
  }

  private static Optional<QuantizationArgs> args(
      RecipeFields group,
      String field,
      BiFunction<Map<String, @Nullable Object>, String, QuantizationArgs> reader) {
    return group
        .fields(field)
        .map(args -> reader.apply(args.mapping().value(), group.where(field)));
  }

  private static void requireTargets(List<String> targets, RecipeFields owner, String field) {
    if (targets.isEmpty()) {
      throw owner.error(field, "must name at least one module, such as [Linear]");
    }
  }

  private void requireGroups(Map<String, Group> groups, String field) {
    if (groups.isEmpty()) {
      throw fields.error(field, "has no group");
    }
  }

  /** Observers that the modifier names for all of its groups. */
  private record Observers(Optional<String> weights, Optional<String> inputs) {
    QuantizationScheme applyTo(QuantizationScheme scheme) {
      QuantizationScheme changed = scheme;
      if (weights.isPresent() && scheme.weights().isPresent()) {
        changed = changed.withWeights(scheme.weights().get().withObserver(weights.get()));
      }
      Optional<QuantizationArgs> observed =
          scheme.inputActivations().filter(args -> args.observer().isPresent());
      if (inputs.isPresent() && observed.isPresent()) {
        changed = changed.withInputActivations(observed.get().withObserver(inputs.get()));
      }
      return changed;
    }
  }

  private Observers observers() {
    List<String> single =
        Stream.of("weight_observer", "input_observer", "output_observer")
            .filter(field -> fields.string(field).isPresent())
            .toList();
    if (single.contains("output_observer")) {
      throw fields.error("output_observer", "is not supported yet");
    }
    Optional<RecipeFields> map = fields.fields("observer");
    if (map.isEmpty()) {
      return new Observers(fields.string("weight_observer"), fields.string("input_observer"));
    }
    if (!single.isEmpty()) {
      throw fields.error(
          "observer", "can't stand beside " + single.getFirst() + "; keep one of them");
    }
    RecipeFields observers = map.get();
    observers.requireKnown(Set.of("weights", "input", "output"));
    if (observers.string("output").isPresent()) {
      throw observers.error("output", "is not supported yet");
    }
    return new Observers(observers.string("weights"), observers.string("input"));
  }
}
