package dev.quench.quantization;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The schemes that have names. Behaviour reference §2; one row each. */
public final class PresetSchemes {
  private static final Map<String, QuantizationScheme> BY_NAME = new LinkedHashMap<>();

  static {
    for (int bits = 2; bits <= 8; bits++) {
      add("W" + bits + "A16", intGroup(bits), Map.of());
    }
    add("W4A16_ASYM", with(intGroup(4), "symmetric", false), Map.of());
    for (int bits = 2; bits <= 7; bits++) {
      add("W" + bits + "A8", intGroup(bits), dynamicToken("int", 8));
    }
    for (int bits = 2; bits <= 4; bits++) {
      add("W" + bits + "A4", intGroup(bits), dynamicToken("int", 4));
    }
    Map<String, Object> int8 = Map.of("num_bits", 8, "type", "int", "strategy", "channel");
    add("W8A8", int8, dynamicToken("int", 8));
    add("INT8", int8, dynamicToken("int", 8));
    add("W4AFP8", intGroup(4), dynamicToken("float", 8));
    Map<String, Object> fp8Tensor = Map.of("num_bits", 8, "type", "float", "strategy", "tensor");
    add("FP8", fp8Tensor, with(fp8Tensor, "observer", "static_minmax"));
    add(
        "FP8_DYNAMIC",
        Map.of("num_bits", 8, "type", "float", "strategy", "channel"),
        dynamicToken("float", 8));
    add(
        "FP8_BLOCK",
        Map.of(
            "num_bits",
            8,
            "type",
            "float",
            "strategy",
            "block",
            "block_structure",
            List.of(128, 128)),
        Map.of(
            "num_bits",
            8,
            "type",
            "float",
            "strategy",
            "group",
            "group_size",
            128,
            "dynamic",
            true));
    Map<String, Object> nvfp4 =
        Map.of(
            "num_bits", 4,
            "type", "float",
            "strategy", "tensor_group",
            "group_size", 16,
            "scale_dtype", "float8_e4m3fn");
    add("NVFP4A16", nvfp4, Map.of());
    add("NVFP4", nvfp4, with(with(nvfp4, "dynamic", "local"), "observer", "static_minmax"));
    for (int bits = 4; bits <= 8; bits += 4) {
      Map<String, Object> mx =
          Map.of(
              "num_bits", bits,
              "type", "float",
              "strategy", "group",
              "group_size", 32,
              "scale_dtype", "uint8");
      add("MXFP" + bits + "A16", mx, Map.of());
      add("MXFP" + bits, mx, with(mx, "dynamic", true));
    }
  }

  private PresetSchemes() {}

  /** The scheme of that name, in any case, without targets. */
  public static Optional<QuantizationScheme> find(String name) {
    return Optional.ofNullable(BY_NAME.get(name.toUpperCase(Locale.ROOT)));
  }

  /** All names. */
  public static List<String> names() {
    return List.copyOf(BY_NAME.keySet());
  }

  private static void add(String name, Map<String, Object> weights, Map<String, Object> inputs) {
    BY_NAME.put(
        name,
        new QuantizationScheme(
            List.of(),
            Optional.of(QuantizationArgsReader.read(nullable(weights), name)),
            inputs.isEmpty()
                ? Optional.empty()
                : Optional.of(QuantizationArgsReader.readActivations(nullable(inputs), name)),
            Optional.empty(),
            Optional.empty()));
  }

  private static Map<String, @Nullable Object> nullable(Map<String, Object> fields) {
    return new LinkedHashMap<>(fields);
  }

  private static Map<String, Object> intGroup(int bits) {
    return Map.of("num_bits", bits, "type", "int", "strategy", "group", "group_size", 128);
  }

  private static Map<String, Object> dynamicToken(String type, int bits) {
    return Map.of("num_bits", bits, "type", type, "strategy", "token", "dynamic", true);
  }

  private static Map<String, Object> with(Map<String, Object> fields, String key, Object value) {
    Map<String, Object> extended = new LinkedHashMap<>(fields);
    extended.put(key, value);
    return extended;
  }
}
