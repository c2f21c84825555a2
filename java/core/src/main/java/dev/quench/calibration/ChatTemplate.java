package dev.quench.calibration;

import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.LegacyOverrides;
import com.hubspot.jinjava.interpret.RenderResult;
import com.hubspot.jinjava.interpret.TemplateError;
import com.hubspot.jinjava.lib.fn.ELFunctionDefinition;
import dev.quench.InvalidInputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Renders a conversation as the text that a model was trained on, by the Jinja template that comes
 * with it.
 */
public final class ChatTemplate {
  private static final JsonMapper JSON = new JsonMapper();

  /** The engine takes no notice of the condition, and would render another text without a word. */
  private static final Pattern FILTERED_LOOP =
      Pattern.compile("\\{%[-+]?\\s*for\\s[^%]*?\\sin\\s[^%]*?\\sif\\s");

  private final Jinjava jinja;
  private final String template;
  private final Map<String, Object> specialTokens;

  private ChatTemplate(String template, Map<String, Object> specialTokens) {
    this.template = JinjaWhitespace.resolve(template);
    this.specialTokens = specialTokens;
    this.jinja =
        new Jinjava(
            JinjavaConfig.newBuilder()
                .withLegacyOverrides(
                    LegacyOverrides.newBuilder()
                        .withWhitespaceRequiredWithinTokens(false)
                        .withUsePyishObjectMapper(true)
                        .withKeepNullableLoopValues(true)
                        .build())
                .build());
    jinja
        .getGlobalContext()
        .registerFunction(
            new ELFunctionDefinition(
                "", "raise_exception", ChatTemplate.class, "raiseException", String.class));
  }

  /**
   * @throws InvalidInputException if the model has no template
   */
  static ChatTemplate open(Path modelFolder) {
    JsonNode config = tokenizerConfig(modelFolder);
    Map<String, Object> specialTokens = new HashMap<>();
    for (String name : List.of("bos_token", "eos_token", "unk_token", "pad_token")) {
      JsonNode token = config.path(name);
      String text = token.isObject() ? token.path("content").asString("") : token.asString("");
      specialTokens.put(name, text);
    }
    String template =
        fromFile(modelFolder.resolve("chat_template.jinja"))
            .or(() -> fromConfig(config.path("chat_template")))
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        "%s has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json), so rows with messages can't be used; give rows with text."
                            .formatted(modelFolder)));
    if (FILTERED_LOOP.matcher(template).find()) {
      throw new InvalidInputException(
          "the chat template of %s has a loop with a condition ({%% for … if … %%}), which isn't supported; give rows with text."
              .formatted(modelFolder));
    }
    return new ChatTemplate(template, specialTokens);
  }

  private static JsonNode tokenizerConfig(Path modelFolder) {
    Path file = modelFolder.resolve("tokenizer_config.json");
    if (!Files.isRegularFile(file)) {
      return JSON.createObjectNode();
    }
    try {
      return JSON.readTree(Files.readString(file));
    } catch (IOException | JacksonException e) {
      throw new InvalidInputException(file + " can't be read: " + e.getMessage() + ".", e);
    }
  }

  private static Optional<String> fromFile(Path file) {
    if (!Files.isRegularFile(file)) {
      return Optional.empty();
    }
    try {
      return Optional.of(Files.readString(file));
    } catch (IOException e) {
      throw new InvalidInputException(file + " can't be read: " + e.getMessage() + ".", e);
    }
  }

  /** A template, or a list of named ones. */
  private static Optional<String> fromConfig(JsonNode entry) {
    if (entry.isString()) {
      return Optional.of(entry.asString());
    }
    for (JsonNode named : entry) {
      if (named.path("name").asString("").equals("default")) {
        return Optional.of(named.path("template").asString());
      }
    }
    return Optional.empty();
  }

  /**
   * @param messages an array of objects with {@code role} and {@code content}
   * @param where where they stand, for messages to the user
   * @throws InvalidInputException if the template refuses them
   */
  String render(JsonNode messages, String where) {
    Map<String, @Nullable Object> bindings = new HashMap<>(specialTokens);
    bindings.put("messages", JSON.convertValue(messages, List.class));
    bindings.put("add_generation_prompt", false);
    bindings.put("tools", null);
    RenderResult result = jinja.renderForResult(template, bindings);
    for (TemplateError error : result.getErrors()) {
      if (error.getSeverity() == TemplateError.ErrorType.FATAL) {
        throw new InvalidInputException(
            where + ": the chat template can't render these messages: " + error.getMessage() + ".");
      }
    }
    return result.getOutput();
  }

  /** What templates call to refuse a conversation. */
  public static String raiseException(String message) {
    throw new IllegalArgumentException(message);
  }
}
