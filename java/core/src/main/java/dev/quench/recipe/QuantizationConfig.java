package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.ActOrder;
import dev.quench.quantization.QuantizationScheme;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The {@code quantization_config} of a compressed checkpoint's config.json. Behaviour reference
 * §5.6. {@link QuantizationConfigReader} reads it.
 *
 * @param groups schemes by the name of their config group
 * @param format of all groups, or {@link CompressionFormat#MIXED_PRECISION}
 * @param ignore modules that aren't quantized though a target may select them
 * @param kvCacheScheme how runtimes shall quantize the KV cache
 * @param status {@code compressed} if weights are stored as codes
 * @param unsupported parts that change what the weights mean and that Quench doesn't have yet:
 *     online rotations, sparse storage
 */
public record QuantizationConfig(
    Map<String, QuantizationScheme> groups,
    CompressionFormat format,
    List<String> ignore,
    Optional<QuantizationArgs> kvCacheScheme,
    String status,
    List<String> unsupported) {
  /** Version of compressed-tensors whose layout this is. */
  public static final String VERSION = "0.19.0";

  static final String QUANT_METHOD = "compressed-tensors";
  static final String COMPRESSED = "compressed";

  private static final JsonMapper MAPPER = JsonMapper.builder().build();

  public QuantizationConfig {
    groups = Collections.unmodifiableMap(new LinkedHashMap<>(groups));
    ignore = List.copyOf(ignore);
    unsupported = List.copyOf(unsupported);
  }

  /**
   * Describes a compressed model: its different schemes in the order of the modules, and the
   * modules that were left alone but are of a quantized class.
   *
   * @throws InvalidInputException if a reader, who sees targets and not modifiers, would give a
   *     module another scheme than it has
   */
  public static QuantizationConfig of(SchemeAssignment assignment) {
    Map<String, QuantizationScheme> groups = new LinkedHashMap<>();
    assignment.assigned().values().stream()
        .map(SchemeAssignment.Assigned::scheme)
        .distinct()
        .forEach(
            scheme ->
                groups.put("group_" + groups.size(), scheme.withFormat(scheme.effectiveFormat())));
    Set<String> quantizedClasses =
        assignment.assigned().values().stream()
            .map(assigned -> assigned.module().className())
            .collect(Collectors.toSet());
    List<String> ignore =
        assignment.modules().stream()
            .filter(module -> assignment.of(module.name()).isEmpty())
            .filter(module -> quantizedClasses.contains(classForIgnore(module)))
            .map(NamedModule::name)
            .toList();
    List<CompressionFormat> formats =
        groups.values().stream().map(QuantizationScheme::effectiveFormat).distinct().toList();
    CompressionFormat format =
        switch (formats.size()) {
          case 0 -> CompressionFormat.DENSE;
          case 1 -> formats.getFirst();
          default -> CompressionFormat.MIXED_PRECISION;
        };
    QuantizationConfig config =
        new QuantizationConfig(groups, format, ignore, assignment.cache(), COMPRESSED, List.of());
    config.requireReadBack(assignment);
    return config;
  }

  /** compressed-tensors takes whatever its name calls a gate for a linear. */
  private static String classForIgnore(NamedModule module) {
    String name = module.className();
    boolean gate = name.contains("Router") || name.contains("Gate") || name.contains("Gating");
    return gate && !name.contains("ExpertMLP") ? NamedModule.LINEAR : name;
  }

  private void requireReadBack(SchemeAssignment assignment) {
    TargetMatcher matcher = matcher("quantization_config");
    for (SchemeAssignment.Assigned assigned : assignment.assigned().values()) {
      QuantizationScheme meant = assigned.scheme().withFormat(assigned.scheme().effectiveFormat());
      Optional<QuantizationScheme> read = matcher.match(assigned.module());
      if (!read.equals(Optional.of(meant))) {
        throw new InvalidInputException(
            "%s is to be quantized as targets %s say, but whoever loads the checkpoint would take it for %s, since config.json has targets without their order; write targets that don't overlap."
                .formatted(
                    assigned.module().name(),
                    meant.targets(),
                    read.map(other -> "one of " + other.targets()).orElse("unquantized")));
      }
    }
  }

  /**
   * Finds the scheme of each module.
   *
   * @param where names the file in messages
   */
  public TargetMatcher matcher(String where) {
    return new TargetMatcher(groups.values(), ignore, where);
  }

  /**
   * Checks that the stored weights can be read.
   *
   * @param where names the file in the message
   * @throws InvalidInputException if this version can't turn the stored weights back to numbers
   */
  public void requireDecodable(String where) {
    List<String> obstacles = new ArrayList<>(unsupported);
    if (!status.equals(COMPRESSED)) {
      obstacles.add("quantization_status " + status);
    }
    groups.forEach(
        (name, group) -> {
          CompressionFormat format = group.effectiveFormat();
          boolean fits =
              format == CompressionFormat.DENSE
                  || group.weights().map(SchemeChecks::formats).orElse(List.of()).contains(format);
          if (!fits) {
            obstacles.add("format " + format.configName() + " of " + name);
          }
          if (group
              .weights()
              .flatMap(QuantizationArgs::actOrder)
              .equals(Optional.of(ActOrder.GROUP))) {
            obstacles.add("actorder group of " + name);
          }
        });
    if (!obstacles.isEmpty()) {
      throw new InvalidInputException(
          "%s: this version of Quench can't decode weights with %s."
              .formatted(where, String.join(", ", obstacles)));
    }
  }

  /** As it stands in config.json. */
  public ObjectNode toJson() {
    Map<String, @Nullable Object> json = new LinkedHashMap<>();
    Map<String, Object> groupMaps = new LinkedHashMap<>();
    groups.forEach((name, group) -> groupMaps.put(name, toMap(group)));
    json.put("config_groups", groupMaps);
    json.put("format", format.configName());
    json.put("global_compression_ratio", null);
    json.put("ignore", ignore);
    json.put("kv_cache_scheme", kvCacheScheme.map(QuantizationArgs::toMap).orElse(null));
    json.put("quant_method", QUANT_METHOD);
    json.put("quantization_status", status);
    json.put("sparsity_config", Map.of());
    json.put("transform_config", Map.of());
    json.put("version", VERSION);
    return MAPPER.valueToTree(json);
  }

  private static Map<String, @Nullable Object> toMap(QuantizationScheme group) {
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    map.put("format", group.effectiveFormat().configName());
    map.put(
        "input_activations", group.inputActivations().map(QuantizationArgs::toMap).orElse(null));
    map.put(
        "output_activations", group.outputActivations().map(QuantizationArgs::toMap).orElse(null));
    map.put("targets", group.targets());
    map.put("weights", group.weights().map(QuantizationArgs::toMap).orElse(null));
    return map;
  }
}
