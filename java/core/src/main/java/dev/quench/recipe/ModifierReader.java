package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.ActOrder;
import dev.quench.quantization.QuantizationScheme;
import dev.quench.recipe.RecipeNode.Mapping;
import dev.quench.recipe.RecipeNode.Scalar;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** Reads one modifier of a recipe. Behaviour reference §1.4. */
final class ModifierReader {
  private static final List<String> SUPPORTED = List.of(QuantizationSpec.NAME, GptqSpec.NAME);

  /** llm-compressor's that Quench doesn't have yet. */
  private static final List<String> NOT_YET =
      List.of(
          "AWQModifier",
          "SmoothQuantModifier",
          "LogarithmicEqualizationModifier",
          "SpinQuantModifier",
          "QuIPModifier",
          "AutoRoundModifier",
          "SparseGPTModifier",
          "WandaPruningModifier",
          "MagnitudePruningModifier",
          "ConstantPruningModifier",
          "REAPPruningModifier",
          "IMatrixGatherer");

  /** Of every modifier; they steer training, and are null in recipes for compression. */
  private static final Set<String> TRAINING_FIELDS =
      Set.of("index", "start", "end", "update", "requires_calibration_data");

  private static final Set<String> GPTQ_FIELDS =
      Set.of("block_size", "dampening_frac", "actorder", "offload_hessians");

  private final RecipeFields fields;
  private final String origin;

  private ModifierReader(RecipeFields fields, String origin) {
    this.fields = fields;
    this.origin = origin;
  }

  /** Whether llm-compressor has a modifier of that name. */
  static boolean isKnown(String name) {
    return SUPPORTED.contains(name) || NOT_YET.contains(name);
  }

  private static List<String> knownNames() {
    return Stream.concat(SUPPORTED.stream(), NOT_YET.stream()).toList();
  }

  /**
   * @param name as it stands in the recipe
   * @throws InvalidInputException if there's no such modifier (yet), or a field can't be used
   */
  static ModifierSpec read(String file, String name, RecipeNode.Entry entry) {
    String origin = RecipeText.at(file, entry.line());
    if (NOT_YET.contains(name)) {
      throw new InvalidInputException(
          "%s: %s is not supported yet by this version of Quench, which has %s."
              .formatted(origin, name, String.join(" and ", SUPPORTED)));
    }
    if (!SUPPORTED.contains(name)) {
      throw new InvalidInputException(
          "%s: there is no modifier \"%s\".%s"
              .formatted(origin, name, NearMatches.hint(name, knownNames())));
    }
    Mapping mapping =
        switch (entry.node()) {
          case Mapping map -> map;
          case Scalar scalar when scalar.value() == null -> new Mapping(Map.of(), entry.line());
          default ->
              throw new InvalidInputException(
                  "%s: %s must be a map of fields, found %s."
                      .formatted(origin, name, entry.node().shown()));
        };
    ModifierReader reader = new ModifierReader(new RecipeFields(file, name, mapping), origin);
    return name.equals(GptqSpec.NAME) ? reader.gptq() : reader.quantization();
  }

  private QuantizationSpec quantization() {
    requireKnown(Set.of());
    QuantizationTargets targets = new QuantizationFields(fields).read((scheme, where) -> scheme);
    if (targets.groups().isEmpty() && targets.cache().isEmpty()) {
      throw new InvalidInputException(
          origin
              + ": "
              + QuantizationSpec.NAME
              + " needs a scheme, config_groups or a kv_cache_scheme.");
    }
    return new QuantizationSpec(origin, targets);
  }

  private GptqSpec gptq() {
    requireKnown(GPTQ_FIELDS);
    boolean explicit = fields.has("actorder");
    Optional<ActOrder> order = actOrder();
    QuantizationTargets targets =
        new QuantizationFields(fields)
            .read((scheme, where) -> withActOrder(scheme, explicit, order, where));
    if (targets.groups().isEmpty() && explicit) {
      throw fields.error(
          "actorder",
          "has no effect without a scheme of GPTQModifier's own; set it in the weights of the earlier modifier's config_groups");
    }
    return new GptqSpec(
        origin,
        targets,
        fields.positiveInteger("block_size").orElse(GptqSpec.DEFAULT_BLOCK_SIZE),
        fields.nonNegativeNumber("dampening_frac").orElse(GptqSpec.DEFAULT_DAMPENING_FRACTION),
        fields.bool("offload_hessians").orElse(false)
            ? List.of(
                fields.where("offload_hessians")
                    + " has no effect: Quench holds the Hessians of one step at a time.")
            : List.of());
  }

  private void requireKnown(Set<String> own) {
    Set<String> legal = new HashSet<>(own);
    legal.addAll(QuantizationFields.NAMES);
    legal.addAll(TRAINING_FIELDS);
    legal.add("group");
    fields.requireKnown(legal);
    for (String field : TRAINING_FIELDS) {
      if (fields.node(field).isPresent()) {
        throw fields.error(field, "has no meaning in a compression run; leave it out");
      }
    }
  }

  private Optional<ActOrder> actOrder() {
    Optional<RecipeNode> node = fields.node("actorder");
    if (node.isEmpty()) {
      return Optional.empty();
    }
    String text = String.valueOf(node.get().value()).toLowerCase(Locale.ROOT);
    Optional<ActOrder> order =
        switch (text) {
          case "static" -> Optional.of(ActOrder.STATIC);
          case "weight" -> Optional.of(ActOrder.WEIGHT);
          case "group", "dynamic", "true" -> Optional.of(ActOrder.GROUP);
          case "false" -> Optional.empty();
          default ->
              throw fields.error(
                  "actorder", "must be 'static', 'weight' or null, found " + node.get().shown());
        };
    SchemeChecks.requireKnownActOrder(order, fields.where("actorder"));
    return order;
  }

  /**
   * Behaviour reference §4.2, "actorder policy": without a word from the modifier it's static where
   * the scheme has none; with one, null included, the scheme must have none or the same.
   */
  private QuantizationScheme withActOrder(
      QuantizationScheme scheme, boolean explicit, Optional<ActOrder> order, String where) {
    if (scheme.weights().isEmpty()) {
      return scheme;
    }
    QuantizationArgs weights = scheme.weights().get();
    SchemeChecks.requireGptq(weights, where);
    if (weights.actOrder().isEmpty()) {
      return scheme.withWeights(
          weights.withActOrder(explicit ? order : Optional.of(ActOrder.STATIC)));
    }
    // Static and weight name one order.
    if (explicit && order.isEmpty()) {
      throw fields.error(
          "actorder",
          "null conflicts with actorder %s of the weights (%s); keep one of them"
              .formatted(weights.actOrder().get().name().toLowerCase(Locale.ROOT), where));
    }
    return scheme;
  }
}
