package dev.quench.calibration;

import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.LegacyOverrides;
import com.hubspot.jinjava.el.JinjavaInterpreterResolver;
import com.hubspot.jinjava.interpret.Context;
import com.hubspot.jinjava.interpret.RenderResult;
import com.hubspot.jinjava.interpret.TemplateError;
import dev.quench.InvalidInputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import jinjava.javax.el.CompositeELResolver;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.MissingNode;

/**
 * The template by which a model writes conversations as text. Templates are Jinja; see {@link
 * TemplateDialect} and {@link PythonValues} for where the engine is brought in line with Python's.
 * A template that can't be rendered faithfully is an error.
 */
public final class ChatTemplate {
  private static final String CONFIG = "tokenizer_config.json";
  private static final String FILE = "chat_template.jinja";
  private static final List<String> TOKENS =
      List.of("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token");

  private static final JsonMapper JSON = new JsonMapper();

  private final String template;
  private final String name;
  private final Map<String, String> tokens;
  private final Jinjava engine;

  private ChatTemplate(String template, String name, Map<String, String> tokens) {
    this.name = name;
    this.tokens = Map.copyOf(tokens);
    engine = engine();
    Context library = engine.getGlobalContext();
    this.template =
        TemplateDialect.rewrite(
            template,
            name,
            filter -> library.getFilter(filter) != null,
            test -> library.getExpTest(test) != null);
  }

  /**
   * Reads chat_template.jinja, or what tokenizer_config.json says, of a model.
   *
   * @throws InvalidInputException if the model has no template, or one that can't be read
   */
  public static ChatTemplate open(Path folder) {
    JsonNode config = config(folder.resolve(CONFIG));
    Map<String, String> tokens = new HashMap<>();
    for (String token : TOKENS) {
      JsonNode node = config.path(token);
      JsonNode content = node.isObject() ? node.path("content") : node;
      if (content.isString()) {
        tokens.put(token, content.stringValue());
      }
    }
    String template =
        file(folder.resolve(FILE))
            .or(() -> configured(config))
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        folder
                            + " has no chat template, neither "
                            + FILE
                            + " nor chat_template in "
                            + CONFIG
                            + ": messages can't be written as text. Give the calibration rows as text."));
    return new ChatTemplate(template, folder.toString(), tokens);
  }

  /**
   * Writes a conversation as text, without the prompt for a further answer.
   *
   * @param messages each with {@code role}, {@code content} and whatever else the template knows:
   *     strings, numbers, booleans, null, lists and maps, as of JSON
   * @param where the conversation comes from, for messages
   * @throws InvalidInputException if the template refuses the conversation, or can't be rendered
   */
  public String render(List<Map<String, Object>> messages, String where) {
    Map<String, Object> variables = new HashMap<>();
    TOKENS.forEach(token -> variables.put(token, new PythonValues.Missing(token)));
    variables.putAll(tokens);
    variables.put("messages", PythonValues.list(messages));
    variables.put("add_generation_prompt", false);
    variables.put("tools", PythonValues.None.NONE);
    variables.put("documents", PythonValues.None.NONE);
    RenderResult result = engine.renderForResult(template, variables);
    Optional<String> failure = result.getErrors().stream().findFirst().map(ChatTemplate::reason);
    failure
        .or(() -> PythonValues.misused(result.getOutput()))
        .ifPresent(
            reason -> {
              throw new InvalidInputException(
                  where
                      + ": the chat template of "
                      + name
                      + " can't write this conversation: "
                      + reason
                      + ".");
            });
    return result.getOutput();
  }

  private static String reason(TemplateError error) {
    for (Throwable cause = error.getException(); cause != null; cause = cause.getCause()) {
      if (cause instanceof TemplateLibrary.RaisedException
          || cause instanceof PythonValues.MisusedException) {
        return String.valueOf(cause.getMessage());
      }
    }
    return String.valueOf(error.getMessage());
  }

  private static Jinjava engine() {
    LegacyOverrides python =
        LegacyOverrides.newBuilder()
            .withEvaluateMapKeys(true)
            .withIterateOverMapKeys(true)
            .withUseNaturalOperatorPrecedence(true)
            .withParseWhitespaceControlStrictly(true)
            .withAllowAdjacentTextNodes(true)
            .withKeepNullableLoopValues(true)
            .build();
    CompositeELResolver resolver = new CompositeELResolver();
    resolver.add(new PythonMethods());
    resolver.add(JinjavaInterpreterResolver.DEFAULT_RESOLVER_READ_ONLY);
    Jinjava jinjava =
        new Jinjava(
            JinjavaConfig.newBuilder()
                .withLegacyOverrides(python)
                .withNestedInterpretationEnabled(false)
                .withElResolver(resolver)
                .build());
    TemplateLibrary.register(jinjava.getGlobalContext());
    return jinjava;
  }

  private static JsonNode config(Path file) {
    return file(file)
        .map(
            json -> {
              try {
                return JSON.readTree(json);
              } catch (JacksonException e) {
                throw new InvalidInputException(
                    file + " isn't valid JSON: " + e.getOriginalMessage() + ".", e);
              }
            })
        .orElseGet(MissingNode::getInstance);
  }

  private static Optional<String> file(Path file) {
    try {
      return Files.isRegularFile(file)
          ? Optional.of(Utf8.decode(Files.readAllBytes(file), file.toString()))
          : Optional.empty();
    } catch (IOException e) {
      throw new InvalidInputException(file + " can't be read: " + e + ".", e);
    }
  }

  /** The template of tokenizer_config.json: a string, or the one called default of a list. */
  private static Optional<String> configured(JsonNode config) {
    JsonNode node = config.path("chat_template");
    if (node.isString()) {
      return Optional.of(node.stringValue());
    }
    return node.valueStream()
        .filter(entry -> entry.path("name").stringValue("").equals("default"))
        .map(entry -> entry.path("template").stringValue(""))
        .findFirst();
  }
}
