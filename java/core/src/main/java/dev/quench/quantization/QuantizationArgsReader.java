package dev.quench.quantization;

import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import dev.quench.quantization.QuantizationArgs.ActOrder;
import dev.quench.quantization.QuantizationArgs.BlockStructure;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.quantization.QuantizationArgs.Strategy;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.tensor.DType;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Makes {@link QuantizationArgs} from the fields of a recipe or a config.json; what isn't said gets
 * its default.
 */
public final class QuantizationArgsReader {
  private static final Set<String> FIELDS =
      Set.of(
          "num_bits",
          "type",
          "symmetric",
          "strategy",
          "group_size",
          "block_structure",
          "dynamic",
          "actorder",
          "scale_dtype",
          "zp_dtype",
          "observer",
          "observer_kwargs");

  private final Map<String, @Nullable Object> fields;
  private final String where;
  private final Optional<String> defaultObserver;

  private QuantizationArgsReader(
      Map<String, @Nullable Object> fields, String where, Optional<String> defaultObserver) {
    this.fields = fields;
    this.where = where;
    this.defaultObserver = defaultObserver;
  }

  /**
   * Those of weights.
   *
   * @param fields as parsed from YAML or JSON: strings, numbers, booleans, lists, maps, null
   * @param where file, line and path of the fields, for messages
   * @throws InvalidInputException if a field is unknown, or has a value that it can't have
   */
  public static QuantizationArgs read(Map<String, @Nullable Object> fields, String where) {
    return read(fields, where, Optional.of(WeightObserver.DEFAULT));
  }

  /** Those of the inputs or outputs of modules. */
  public static QuantizationArgs readActivations(
      Map<String, @Nullable Object> fields, String where) {
    return read(fields, where, Optional.of(ActivationObserver.DEFAULT));
  }

  /** Those of a KV cache, whose default observer config.json doesn't spell out. */
  public static QuantizationArgs readCache(Map<String, @Nullable Object> fields, String where) {
    return read(fields, where, Optional.empty());
  }

  private static QuantizationArgs read(
      Map<String, @Nullable Object> fields, String where, Optional<String> defaultObserver) {
    try {
      return new QuantizationArgsReader(fields, where, defaultObserver).args();
    } catch (InvalidInputException e) {
      String message = e.getMessage();
      throw message != null && message.startsWith(where)
          ? e
          : new InvalidInputException(where + ": " + message + ".", e);
    }
  }

  private QuantizationArgs args() {
    for (String field : fields.keySet()) {
      if (!FIELDS.contains(field)) {
        throw new InvalidInputException(
            where + ": unknown field \"" + field + "\"." + NearMatches.hint(field, FIELDS));
      }
    }
    int numBits = integer("num_bits").orElse(8);
    Type type = choice("type", Type.values()).orElse(Type.INT);
    boolean symmetric = bool("symmetric").orElse(true);
    Optional<Integer> groupSize = integer("group_size");
    if (groupSize.isPresent() && groupSize.get() != -1 && groupSize.get() <= 0) {
      throw wrong("group_size", "a positive number, or -1 for channel");
    }
    Optional<BlockStructure> block = blockStructure();
    Strategy strategy =
        choice("strategy", Strategy.values()).orElseGet(() -> defaultStrategy(groupSize, block));
    Dynamic dynamic = dynamic();
    return new QuantizationArgs(
        numBits,
        type,
        symmetric,
        strategy,
        groupSize.filter(size -> size != -1),
        block,
        dynamic,
        actOrder(),
        dtype("scale_dtype"),
        zeroPointDtype(type, numBits, symmetric),
        observer(dynamic),
        observerArgs());
  }

  private static Strategy defaultStrategy(
      Optional<Integer> groupSize, Optional<BlockStructure> block) {
    if (block.isPresent()) {
      return Strategy.BLOCK;
    }
    return groupSize
        .map(size -> size == -1 ? Strategy.CHANNEL : Strategy.GROUP)
        .orElse(Strategy.TENSOR);
  }

  private Dynamic dynamic() {
    Object value = fields.get("dynamic");
    return switch (value) {
      case null -> Dynamic.STATIC;
      case Boolean dynamic -> dynamic ? Dynamic.DYNAMIC : Dynamic.STATIC;
      case String text when text.equalsIgnoreCase("local") -> Dynamic.LOCAL;
      default -> throw wrong("dynamic", "true, false or local");
    };
  }

  private Optional<ActOrder> actOrder() {
    Object value = fields.get("actorder");
    return switch (value) {
      case null -> Optional.empty();
      case Boolean grouped -> grouped ? Optional.of(ActOrder.GROUP) : Optional.empty();
      case String text ->
          Optional.of(
              switch (text.toLowerCase(Locale.ROOT)) {
                case "group", "dynamic" -> ActOrder.GROUP;
                case "weight" -> ActOrder.WEIGHT;
                case "static" -> ActOrder.STATIC;
                default -> throw wrong("actorder", "weight, static, group or null");
              });
      default -> throw wrong("actorder", "weight, static, group or null");
    };
  }

  private Optional<BlockStructure> blockStructure() {
    Object value = fields.get("block_structure");
    if (value == null) {
      return Optional.empty();
    }
    List<?> sizes =
        switch (value) {
          case List<?> list -> list;
          case String text ->
              Arrays.stream(text.split("x", -1))
                  .map(part -> part.matches("\\d{1,9}") ? Integer.valueOf(part) : part)
                  .toList();
          default -> List.of();
        };
    if (sizes.size() == 2
        && sizes.get(0) instanceof Integer rows
        && sizes.get(1) instanceof Integer columns) {
      return Optional.of(new BlockStructure(rows, columns));
    }
    throw wrong("block_structure", "two numbers such as [128, 128] or \"128x128\"");
  }

  /** config.json has none for symmetric quantization; else it follows from the code. */
  private Optional<DType> zeroPointDtype(Type type, int numBits, boolean symmetric) {
    Optional<DType> given = dtype("zp_dtype");
    if (symmetric) {
      return given;
    }
    return given.or(
        () ->
            Optional.of(type == Type.FLOAT ? DType.F8_E4M3 : numBits <= 8 ? DType.I8 : DType.I32));
  }

  private Optional<String> observer(Dynamic dynamic) {
    Object value = fields.get("observer");
    if (dynamic == Dynamic.DYNAMIC) {
      return Optional.empty();
    }
    return switch (value) {
      case null -> defaultObserver;
      case String text -> Optional.of(text);
      default -> throw wrong("observer", "the name of an observer");
    };
  }

  private Map<String, Object> observerArgs() {
    Object value = fields.get("observer_kwargs");
    if (value == null) {
      return Map.of();
    }
    if (!(value instanceof Map<?, ?> map)) {
      throw wrong("observer_kwargs", "a map");
    }
    Map<String, Object> args = new LinkedHashMap<>();
    map.forEach(
        (key, element) -> {
          if (element == null) {
            throw wrong("observer_kwargs", "a map without nulls");
          }
          args.put(String.valueOf(key), element);
        });
    return args;
  }

  private Optional<Integer> integer(String field) {
    Object value = fields.get(field);
    return switch (value) {
      case null -> Optional.empty();
      case Integer number -> Optional.of(number);
      default -> throw wrong(field, "a whole number");
    };
  }

  private Optional<Boolean> bool(String field) {
    Object value = fields.get(field);
    return switch (value) {
      case null -> Optional.empty();
      case Boolean flag -> Optional.of(flag);
      default -> throw wrong(field, "true or false");
    };
  }

  private <E extends Enum<E>> Optional<E> choice(String field, E[] values) {
    Object value = fields.get(field);
    if (value == null) {
      return Optional.empty();
    }
    for (E candidate : values) {
      if (value instanceof String text && text.equalsIgnoreCase(candidate.name())) {
        return Optional.of(candidate);
      }
    }
    throw wrong(
        field,
        "one of " + String.join(", ", Arrays.stream(values).map(QuantizationArgs::name).toList()));
  }

  private Optional<DType> dtype(String field) {
    Object value = fields.get(field);
    return switch (value) {
      case null -> Optional.empty();
      case String text ->
          Optional.of(
              TorchDtypes.parse(text)
                  .orElseThrow(
                      () -> wrong(field, "one of " + String.join(", ", TorchDtypes.names()))));
      default -> throw wrong(field, "the name of a dtype");
    };
  }

  private InvalidInputException wrong(String field, String legal) {
    return new InvalidInputException(
        "%s: %s must be %s, found %s.".formatted(where, field, legal, fields.get(field)));
  }
}
