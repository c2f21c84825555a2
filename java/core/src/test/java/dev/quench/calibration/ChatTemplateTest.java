package dev.quench.calibration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** expected.json says what Jinja2 renders, see render.py beside it. */
class ChatTemplateTest {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final String TOKENS =
      "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\", \"special\": true}";

  /** Python prints lists, None and nothing here where the template means text; that is refused. */
  private static final Set<String> REFUSED =
      Set.of(
          "chatml-default-system, tools",
          "chatml-default-system, parts",
          "features, parts",
          "gemma, tools",
          "gemma, parts",
          "jinja-in-content, tools",
          "jinja-in-content, parts",
          "jinja-in-content, missing content",
          "llama3-dated, parts",
          "llama3, tools",
          "llama3, parts");

  @TempDir private Path folder;

  static Stream<Arguments> conversations() throws IOException {
    return JSON.readTree(resource("expected.json"))
        .propertyStream()
        .flatMap(
            template ->
                template
                    .getValue()
                    .propertyStream()
                    .map(c -> Arguments.of(template.getKey(), c.getKey(), c.getValue())));
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("conversations")
  void rendersWhatJinja2Renders(String template, String conversation, JsonNode expected)
      throws IOException {
    ChatTemplate chat = open(resource(template + ".jinja"));
    List<Map<String, Object>> messages =
        JSON.convertValue(
            JSON.readTree(resource("conversations.json")).get(conversation),
            new TypeReference<>() {});

    if (expected.has("error")) {
      assertThatThrownBy(() -> chat.render(messages, "rows.jsonl:3"))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageStartingWith("rows.jsonl:3: the chat template of ");
      return;
    }
    if (REFUSED.contains(template + ", " + conversation)) {
      assertThatThrownBy(() -> chat.render(messages, "rows.jsonl:3"))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageMatching(".* for text\\.");
      return;
    }
    assertThat(chat.render(messages, "rows.jsonl:3")).isEqualTo(expected.get("text").stringValue());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ m.content }}{% else %}none{% endfor %}",
        "{% for m in messages %}{{ loop.previtem.content }}{% endfor %}",
        "{% filter upper %}x{% endfilter %}",
        "{{ 'x }}",
        "{{ x",
        "{% if true %}x",
        "{{ messages | nosuchfilter }}",
        "{{ messages is nosuchtest }}",
        "{{ nosuchfunction(1) }}",
        "{{ messages[0].content.nosuchmethod() }}",
        "{% nosuchtag %}",
      })
  void refusesWhatItCantRenderFaithfully(String template) {
    assertThatThrownBy(
            () ->
                open(template)
                    .render(List.of(Map.of("role", "user", "content", "x")), "rows.jsonl:1"))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("chat template of " + folder);
  }

  @Test
  void passesOnWhatATemplateRaises() throws IOException {
    ChatTemplate chat = open("{{ raise_exception('Only user messages, please') }}");

    assertThatThrownBy(() -> chat.render(List.of(Map.of("role", "tool")), "rows.jsonl:1"))
        .hasMessage(
            "rows.jsonl:1: the chat template of "
                + folder
                + " can't write this conversation: Only user messages, please.");
  }

  @Test
  void passesOverMarkersOfAssistantTurnsAndKnowsTheDate() throws IOException {
    ChatTemplate chat =
        open("{%- generation -%} a {%- endgeneration %}{{ strftime_now('%Y') | length }}");

    assertThat(chat.render(List.of(), "")).isEqualTo("a4");
  }

  @Test
  void takesTheTemplateOfTheConfiguration() throws IOException {
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        TOKENS + ", \"chat_template\": \"{{ bos_token ~ eos_token }}\\n\"}");

    assertThat(ChatTemplate.open(folder).render(List.of(), "")).isEqualTo("<s></s>");
  }

  private ChatTemplate open(String template) throws IOException {
    Files.writeString(folder.resolve("chat_template.jinja"), template);
    Files.writeString(folder.resolve("tokenizer_config.json"), TOKENS + "}");
    return ChatTemplate.open(folder);
  }

  private static String resource(String name) throws IOException {
    try (InputStream in = ChatTemplateTest.class.getResourceAsStream("templates/" + name)) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
