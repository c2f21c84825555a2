package dev.quench.calibration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Templates in the styles that models come with. The expected texts were rendered by Python's
 * jinja2 3 with the settings of transformers (trim_blocks, lstrip_blocks); null means that the
 * template raises.
 */
class ChatTemplateTest {
  private static final JsonMapper JSON = new JsonMapper();

  @TempDir Path model;

  static Stream<JsonNode> cases() throws IOException {
    try (InputStream in = ChatTemplateTest.class.getResourceAsStream("chat-templates.json")) {
      return JSON.readTree(in).valueStream();
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void rendersAsJinja2(JsonNode example) throws IOException {
    Files.writeString(model.resolve("chat_template.jinja"), example.path("template").asString());
    Files.writeString(
        model.resolve("tokenizer_config.json"),
        "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"}}");
    ChatTemplate template = ChatTemplate.open(model);
    if (example.path("expected").isNull()) {
      assertThatThrownBy(() -> template.render(example.path("messages"), "rows.jsonl:3"))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("rows.jsonl:3");
    } else {
      assertThat(template.render(example.path("messages"), "rows.jsonl:3"))
          .isEqualTo(example.path("expected").asString());
    }
  }

  @Test
  void templateOfTokenizerConfig() throws IOException {
    Files.writeString(
        model.resolve("tokenizer_config.json"),
        "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"no\"}, {\"name\": \"default\", \"template\": \"{{ messages[0].content }}!\"}]}");
    JsonNode messages = JSON.readTree("[{\"role\": \"user\", \"content\": \"yes\"}]");
    assertThat(ChatTemplate.open(model).render(messages, "x")).isEqualTo("yes!");
  }

  @Test
  void noTemplateIsAnErrorThatSaysWhatToDo() {
    assertThatThrownBy(() -> ChatTemplate.open(model))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("chat_template.jinja")
        .hasMessageContaining("give rows with text");
  }

  @Test
  void loopsWithAConditionAreRefused() throws IOException {
    Files.writeString(
        model.resolve("chat_template.jinja"),
        "{%- for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}");
    assertThatThrownBy(() -> ChatTemplate.open(model))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("condition");
  }
}
