package dev.quench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Recipes, calibration data, options and outputs that can't be used, with a sound model. */
class BadRequestTest {
  @TempDir private static Path shared;
  @TempDir private Path temp;
  private static Path model = Path.of("");
  private static Map<String, String> modelFiles = Map.of();

  @BeforeAll
  static void writeModel() throws IOException {
    model = new TinyModel(1).write(shared.resolve("model"));
    modelFiles = Folders.sha256(model);
  }

  private Path output() {
    return temp.resolve("out");
  }

  private Object[] compress(Object... options) {
    return Quench.with(new Object[] {"compress", model, "-o", output()}, options);
  }

  private void refused(Object[] args, String... parts) {
    Quench.runShort(args).failed(2, parts);
    Folders.assertNothingLeft(output());
    assertThat(Folders.sha256(model)).isEqualTo(modelFiles);
  }

  private static String recipe(String modifier, String... fields) {
    return "quant_stage:\n  quant_modifiers:\n    "
        + modifier
        + ":\n"
        + Stream.of(fields).map(field -> "      " + field + "\n").reduce("", String::concat);
  }

  static Stream<Arguments> recipes() {
    return Stream.of(
        Arguments.of(
            recipe(
                "QuantizationModifier",
                "ignore: [lm_head]",
                "config_groups: {a: {targets: [Linear], weights: {num_bits: 4, type: int, symmetric: true, strategy: group, group_size: 96}}}"),
            List.of("model.layers.0.self_attn.q_proj", "128", "96", "64")),
        Arguments.of(
            recipe(
                "QuantizationModifier",
                "scheme: W8A16",
                "targets: ['model.layers.0.mlp.gate_pro']"),
            List.of("model.layers.0.mlp.gate_pro", "matches no module", "gate_proj")),
        Arguments.of(
            recipe(
                "QuantizationModifier", "scheme: W8A16", "targets: [Linear]", "ignore: [lm_heat]"),
            List.of("lm_heat", "matches no module", "lm_head")),
        Arguments.of(
            recipe("QuantisationModifier", "scheme: W8A16", "targets: [Linear]"),
            List.of("line 3", "QuantisationModifier", "QuantizationModifier")),
        Arguments.of(
            recipe("GPTQModifier", "scheme: W8A16", "targets: [Linear]", "blocksize: 128"),
            List.of("line 6", "blocksize", "block_size")),
        Arguments.of(
            recipe("QuantizationModifier", "scheme: W4A17", "targets: [Linear]"),
            List.of("line 4", "W4A17", "W4A16")),
        Arguments.of("quant_stage:\n  quant_modifiers: [unclosed\n", List.of("recipe.yaml")),
        Arguments.of("", List.of("recipe.yaml")));
  }

  @ParameterizedTest
  @MethodSource("recipes")
  void badRecipe(String text, List<String> parts) throws IOException {
    Path recipe = Files.writeString(temp.resolve("recipe.yaml"), text);
    refused(compress("--recipe", recipe), parts.toArray(String[]::new));
  }

  static Stream<Arguments> calibrations() {
    return Stream.of(
        Arguments.of("", List.of("is empty")),
        Arguments.of("{\"input_ids\":[1]}\n{\"input_ids\":[]}\n", List.of("at least two tokens")),
        Arguments.of(
            "{\"input_ids\":[1,2]}\n{\"input_ids\":[3,64]}\n",
            List.of(":2", "token id 64", "only 64")),
        Arguments.of(
            "{\"input_ids\":[1,2]}\n\n{\"input_ids\":[3,\n", List.of(":3", "isn't valid JSON")),
        Arguments.of("{\"input_ids\":[1,-2]}\n", List.of(":1", "non-negative")),
        Arguments.of(
            "{\"prompt\":\"a\"}\n", List.of(":1", "text, messages or input_ids", "prompt")),
        Arguments.of("{\"text\":\"a\"}\n", List.of("tokenizer.json")));
  }

  @ParameterizedTest
  @MethodSource("calibrations")
  void badCalibration(String text, List<String> parts) throws IOException {
    Path data = Files.writeString(temp.resolve("rows.jsonl"), text);
    refused(
        compress("--scheme", "W4A16", "--method", "gptq", "--calibration", data),
        parts.toArray(String[]::new));
  }

  static Stream<Arguments> options() {
    return Stream.of(
        Arguments.of(List.of("--scheme", "W4A15"), List.of("W4A15", "W4A16")),
        Arguments.of(List.of(), List.of("Give --scheme")),
        Arguments.of(
            List.of("--scheme", "W4A16", "--method", "gptq"), List.of("give --calibration FILE")),
        Arguments.of(
            List.of("--scheme", "W4A16", "--method", "gptq", "--calibration", "/none.jsonl"),
            List.of("/none.jsonl doesn't exist")),
        Arguments.of(List.of("--recipe", "/none.yaml"), List.of("/none.yaml")),
        Arguments.of(
            List.of("--recipe", "/none.yaml", "--scheme", "W4A16"), List.of("one or the other")),
        Arguments.of(
            List.of("--scheme", "W4A16", "--ignore", "lm_heat"), List.of("lm_heat", "lm_head")),
        Arguments.of(
            List.of("--scheme", "W4A16", "--device", "cuda"),
            List.of("--device cuda", "--device cpu")),
        Arguments.of(
            List.of("--scheme", "W4A16", "--threads", "0"), List.of("--threads must be from 1")));
  }

  @ParameterizedTest
  @MethodSource("options")
  void badOption(List<String> options, List<String> parts) {
    refused(compress(options.toArray()), parts.toArray(String[]::new));
  }

  @Test
  void unknownOptionShowsTheUsage() {
    Quench.Result result = Quench.runShort(compress("--shceme", "W4A16"));
    assertThat(result.code()).isEqualTo(2);
    assertThat(result.err()).contains("--shceme").contains("--scheme").doesNotContain("\tat ");
    Folders.assertNothingLeft(output());
  }

  @Test
  void outputThatIsInUse() throws IOException {
    Path full = Files.createDirectories(temp.resolve("full"));
    Files.writeString(full.resolve("mine"), "keep");
    Quench.runShort("compress", model, "--scheme", "W8A16", "-o", full)
        .failed(2, full.toString(), "isn't empty", "give another -o");
    assertThat(Folders.sha256(full)).containsOnlyKeys("mine");
    Folders.assertNothingLeft(output());
  }

  @Test
  void outputInTheModel() {
    Quench.runShort("compress", model, "--scheme", "W8A16", "-o", model.resolve("out"))
        .failed(2, "lies in the model's folder");
    assertThat(Folders.sha256(model)).isEqualTo(modelFiles);
  }

  @Test
  void leftOverWithoutResume() throws IOException {
    Path left = Files.createDirectories(Folders.partial(output()));
    Files.writeString(left.resolve("mine"), "keep");
    Quench.runShort(compress("--scheme", "W8A16")).failed(2, left.toString(), "--resume");
    assertThat(Folders.sha256(left)).containsOnlyKeys("mine");
  }
}
