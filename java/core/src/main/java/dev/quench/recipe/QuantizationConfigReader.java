package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgsReader;
import dev.quench.quantization.QuantizationScheme;
import dev.quench.tensor.DType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.NullNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads the {@code quantization_config} of a config.json that Quench or llm-compressor wrote.
 * Behaviour reference §5.6: keys that it doesn't know are skipped at the top, and are errors within
 * groups.
 */
public final class QuantizationConfigReader {
  private static final Set<String> GROUP_FIELDS =
      Set.of("format", "input_activations", "output_activations", "targets", "weights");
  private static final JsonMapper MAPPER = JsonMapper.builder().build();

  private final ObjectNode config;
  private final String where;

  private QuantizationConfigReader(ObjectNode config, String where) {
    this.config = config;
    this.where = where;
  }

  /**
   * Reads a checkpoint's quantization.
   *
   * @param quantizationConfig value of config.json's {@code quantization_config}
   * @param file config.json, for messages
   * @throws InvalidInputException if another tool's method made it, or a field can't be understood
   */
  public static QuantizationConfig read(JsonNode quantizationConfig, String file) {
    String where = file + ": quantization_config";
    if (!(quantizationConfig instanceof ObjectNode object)) {
      throw new InvalidInputException(where + " must be an object.");
    }
    return new QuantizationConfigReader(object, where).config();
  }

  private QuantizationConfig config() {
    String method = text(config, "quant_method", where).orElse("missing");
    if (!method.equals(QuantizationConfig.QUANT_METHOD)) {
      throw new InvalidInputException(
          "%s: quant_method is %s; Quench reads only %s checkpoints."
              .formatted(where, method, QuantizationConfig.QUANT_METHOD));
    }
    Optional<CompressionFormat> format = format(config, where);
    return new QuantizationConfig(
        groups(format.filter(f -> f != CompressionFormat.MIXED_PRECISION)),
        format.orElse(CompressionFormat.DENSE),
        strings(config, "ignore", where),
        args(config, "kv_cache_scheme", where, QuantizationArgsReader::readCache),
        text(config, "quantization_status", where).orElse(QuantizationConfig.COMPRESSED),
        unsupported());
  }

  private Map<String, QuantizationScheme> groups(Optional<CompressionFormat> global) {
    Map<String, QuantizationScheme> groups = new LinkedHashMap<>();
    JsonNode all = field(config, "config_groups");
    if (all.isNull()) {
      return groups;
    }
    if (!(all instanceof ObjectNode object)) {
      throw wrong(where, "config_groups", "an object", all);
    }
    for (Map.Entry<String, JsonNode> entry : object.properties()) {
      String path = where + ".config_groups." + entry.getKey();
      groups.put(
          entry.getKey(),
          switch (entry.getValue()) {
            case ObjectNode group -> group(group, global, path);
            case ArrayNode targets ->
                Recipe.preset(entry.getKey(), path).withTargets(strings(targets, path));
            default -> throw wrong(where, entry.getKey(), "an object", entry.getValue());
          });
    }
    return groups;
  }

  /** Older files have a format only for all groups. */
  private static QuantizationScheme group(
      ObjectNode group, Optional<CompressionFormat> global, String path) {
    for (Map.Entry<String, JsonNode> entry : group.properties()) {
      if (!GROUP_FIELDS.contains(entry.getKey())) {
        throw new InvalidInputException(
            "%s: unknown field \"%s\".%s"
                .formatted(path, entry.getKey(), NearMatches.hint(entry.getKey(), GROUP_FIELDS)));
      }
    }
    List<String> targets = strings(group, "targets", path);
    Optional<QuantizationArgs> weights = args(group, "weights", path, QuantizationArgsReader::read);
    Optional<QuantizationArgs> inputs =
        args(group, "input_activations", path, QuantizationArgsReader::readActivations);
    Optional<QuantizationArgs> outputs =
        args(group, "output_activations", path, QuantizationArgsReader::readActivations);
    Optional<CompressionFormat> format = format(group, path).or(() -> global);
    try {
      return new QuantizationScheme(
          targets, weights.map(args -> withScaleDtype(args, format)), inputs, outputs, format);
    } catch (InvalidInputException e) {
      throw new InvalidInputException(path + ": " + e.getMessage() + ".", e);
    }
  }

  /** Older files leave the dtype of scales to the format. */
  private static QuantizationArgs withScaleDtype(
      QuantizationArgs args, Optional<CompressionFormat> format) {
    if (args.scaleDtype().isPresent() || format.isEmpty()) {
      return args;
    }
    return switch (format.get()) {
      case NVFP4_PACK_QUANTIZED -> args.withScaleDtype(Optional.of(DType.F8_E4M3));
      case MXFP4_PACK_QUANTIZED, MXFP8_QUANTIZED -> args.withScaleDtype(Optional.of(DType.U8));
      default -> args;
    };
  }

  private List<String> unsupported() {
    List<String> parts = new ArrayList<>();
    if (!field(config, "transform_config").isEmpty()) {
      parts.add("transform_config (online rotations)");
    }
    JsonNode sparsity = field(config, "sparsity_config");
    Optional<String> sparse =
        sparsity instanceof ObjectNode object
            ? text(object, "format", where + ".sparsity_config")
            : Optional.empty();
    sparse
        .filter(format -> !format.equals("dense"))
        .ifPresent(format -> parts.add("sparsity_config format " + format));
    return parts;
  }

  private static Optional<QuantizationArgs> args(
      ObjectNode parent,
      String field,
      String path,
      BiFunction<Map<String, @Nullable Object>, String, QuantizationArgs> reader) {
    JsonNode node = field(parent, field);
    if (node.isNull()) {
      return Optional.empty();
    }
    if (!node.isObject()) {
      throw wrong(path, field, "an object", node);
    }
    Map<String, @Nullable Object> fields =
        MAPPER.convertValue(node, new TypeReference<Map<String, @Nullable Object>>() {});
    return Optional.of(reader.apply(fields, path + "." + field));
  }

  private static Optional<CompressionFormat> format(ObjectNode parent, String path) {
    return text(parent, "format", path)
        .map(
            name ->
                CompressionFormat.of(name)
                    .orElseThrow(
                        () ->
                            new InvalidInputException(
                                "%s: unknown format \"%s\"; known are %s."
                                    .formatted(
                                        path,
                                        name,
                                        String.join(", ", CompressionFormat.names())))));
  }

  private static Optional<String> text(ObjectNode parent, String field, String path) {
    JsonNode node = field(parent, field);
    if (node.isNull()) {
      return Optional.empty();
    }
    if (!node.isString()) {
      throw wrong(path, field, "a string", node);
    }
    return Optional.of(node.asString());
  }

  private static List<String> strings(ObjectNode parent, String field, String path) {
    JsonNode node = field(parent, field);
    if (node.isNull()) {
      return List.of();
    }
    if (!(node instanceof ArrayNode array)) {
      throw wrong(path, field, "a list of strings", node);
    }
    return strings(array, path + "." + field);
  }

  private static List<String> strings(ArrayNode array, String path) {
    List<String> strings = new ArrayList<>();
    for (JsonNode element : array) {
      if (!element.isString()) {
        throw new InvalidInputException(
            path + " must be a list of strings, found " + element + ".");
      }
      strings.add(element.asString());
    }
    return strings;
  }

  private static JsonNode field(ObjectNode parent, String field) {
    JsonNode node = parent.get(field);
    return node == null ? NullNode.getInstance() : node;
  }

  private static InvalidInputException wrong(
      String path, String field, String legal, JsonNode found) {
    return new InvalidInputException(
        "%s: %s must be %s, found %s.".formatted(path, field, legal, found.getNodeType()));
  }
}
