package dev.quench.model;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.device.Activation;
import dev.quench.device.AttentionSpec;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Reads the {@link Architecture} of a model from its {@code config.json}. */
public final class ArchitectureReader {
  private static final List<String> SUPPORTED = List.of("llama");

  private final ObjectNode config;
  private final String where;

  private ArchitectureReader(ObjectNode config, String where) {
    this.config = config;
    this.where = where;
  }

  /**
   * @param config the parsed config.json
   * @param where its path, for messages
   * @throws InvalidInputException if the family isn't supported, or a key is missing, of the wrong
   *     type or out of range
   */
  public static Architecture read(ObjectNode config, String where) {
    return new ArchitectureReader(config, where).architecture();
  }

  /**
   * That of a checkpoint.
   *
   * @throws InvalidInputException as the other has it
   */
  public static Architecture read(Checkpoint checkpoint) {
    return read(checkpoint.config(), checkpoint.folder().resolve("config.json").toString());
  }

  /**
   * The same; nothing if config.json names a family that there is no description of.
   *
   * @throws InvalidInputException if it names none, or what it says of a known one is wrong
   */
  public static Optional<Architecture> find(Checkpoint checkpoint) {
    ObjectNode config = checkpoint.config();
    return config.hasNonNull("model_type")
            && !SUPPORTED.contains(config.path("model_type").asString(""))
        ? Optional.empty()
        : Optional.of(read(checkpoint));
  }

  private Architecture architecture() {
    String family = text("model_type");
    return switch (family) {
      case "llama" -> llama();
      default ->
          throw new InvalidInputException(
              "%s: model_type \"%s\" isn't supported; Quench knows: %s."
                  .formatted(where, family, String.join(", ", SUPPORTED)));
    };
  }

  private Architecture llama() {
    int hidden = positive("hidden_size");
    int heads = positive("num_attention_heads");
    int keyHeads = has("num_key_value_heads") ? positive("num_key_value_heads") : heads;
    if (heads % keyHeads != 0) {
      throw invalid(
          "num_attention_heads", heads + " isn't a multiple of num_key_value_heads " + keyHeads);
    }
    if (!has("head_dim") && hidden % heads != 0) {
      throw invalid(
          "hidden_size",
          hidden
              + " isn't a multiple of num_attention_heads "
              + heads
              + ", and there is no head_dim");
    }
    int headDim = has("head_dim") ? positive("head_dim") : hidden / heads;
    if (headDim % 2 != 0) {
      throw invalid("head_dim", headDim + " is odd, but rotary embeddings turn pairs");
    }
    String act = has("hidden_act") ? text("hidden_act") : "silu";
    if (!act.equals("silu") && !act.equals("swish")) {
      throw invalid("hidden_act", "\"" + act + "\" isn't supported for llama; only silu is");
    }
    return new Architecture(
        "llama",
        "LlamaDecoderLayer",
        positive("num_hidden_layers"),
        hidden,
        positive("intermediate_size"),
        positive("vocab_size"),
        new AttentionSpec(heads, keyHeads, headDim, (float) (1 / Math.sqrt(headDim))),
        rope(),
        Activation.SILU,
        (float) number("rms_norm_eps", 1e-6),
        flag("attention_bias", false),
        flag("mlp_bias", false),
        has("max_position_embeddings") ? positive("max_position_embeddings") : 2048,
        flag("tie_word_embeddings", false));
  }

  /**
   * {@code rope_parameters} since transformers 5; {@code rope_theta} and {@code rope_scaling}
   * before.
   */
  private RopeSpec rope() {
    JsonNode parameters = config.path("rope_parameters");
    JsonNode scaling = parameters.isObject() ? parameters : config.path("rope_scaling");
    double theta = parameters.path("rope_theta").asDouble(number("rope_theta", 10000.0));
    String type = scaling.path("rope_type").asString(scaling.path("type").asString("default"));
    return switch (type) {
      case "default" -> new RopeSpec.Default(theta);
      case "linear" -> new RopeSpec.Linear(theta, ropeNumber(scaling, "factor"));
      case "llama3" ->
          new RopeSpec.Llama3(
              theta,
              ropeNumber(scaling, "factor"),
              ropeNumber(scaling, "low_freq_factor"),
              ropeNumber(scaling, "high_freq_factor"),
              ropeNumber(scaling, "original_max_position_embeddings"));
      default ->
          throw invalid(
              "rope_type",
              "\"" + type + "\" isn't supported; Quench knows default, linear and llama3");
    };
  }

  private double ropeNumber(JsonNode scaling, String key) {
    JsonNode value = scaling.path(key);
    if (!value.isNumber() || !(value.asDouble() > 0)) {
      throw invalid(key, "the rope scaling needs it to be a positive number, found " + value);
    }
    return value.asDouble();
  }

  private boolean has(String key) {
    return config.hasNonNull(key);
  }

  private String text(String key) {
    JsonNode value = required(key);
    if (!value.isString()) {
      throw invalid(key, "must be a string, found " + value);
    }
    return value.asString();
  }

  private int positive(String key) {
    JsonNode value = required(key);
    if (!value.isIntegralNumber() || !value.canConvertToInt() || value.asInt() <= 0) {
      throw invalid(key, "must be a positive integer, found " + value);
    }
    return value.asInt();
  }

  private double number(String key, double absent) {
    if (!has(key)) {
      return absent;
    }
    JsonNode value = config.path(key);
    if (!value.isNumber()) {
      throw invalid(key, "must be a number, found " + value);
    }
    return value.asDouble();
  }

  private boolean flag(String key, boolean absent) {
    if (!has(key)) {
      return absent;
    }
    JsonNode value = config.path(key);
    if (!value.isBoolean()) {
      throw invalid(key, "must be true or false, found " + value);
    }
    return value.asBoolean();
  }

  private JsonNode required(String key) {
    if (!has(key)) {
      throw new InvalidInputException(
          where
              + ": the key \""
              + key
              + "\" is missing; is this a Hugging Face model's config.json?");
    }
    return config.path(key);
  }

  private InvalidInputException invalid(String key, String problem) {
    return new InvalidInputException(where + ": " + key + ": " + problem + ".");
  }
}
