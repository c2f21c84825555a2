package dev.quench.recipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationScheme;
import dev.quench.quantization.ScaleFormat;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Against what llm-compressor 0.14 wrote for the same recipes and a Llama of two layers. */
class QuantizationConfigTest {
  private static final JsonMapper MAPPER = JsonMapper.builder().build();

  @ParameterizedTest
  @ValueSource(
      strings = {
        "rtn-w2a16",
        "rtn-w4a16",
        "rtn-w4a16-asym",
        "rtn-w4a16-channel",
        "rtn-w4a16-g32-asym",
        "rtn-w4a8",
        "rtn-w4afp8",
        "rtn-w5a16",
        "rtn-w7a16",
        "rtn-w8a16",
        "rtn-w8a8",
        "rtn-fp8-block",
        "rtn-fp8-dynamic",
        "rtn-fp8-weight-only-tensor",
        "rtn-mxfp4",
        "rtn-mxfp4a16",
        "rtn-mxfp8",
        "rtn-mxfp8a16",
        "rtn-nvfp4a16",
        "rtn-w4a4",
        "gptq-fp8-block",
        "gptq-fp8-dynamic",
        "gptq-w4a16",
        "gptq-w4a16-asym",
        "gptq-w4a16-no-actorder",
        "gptq-w8a8"
      })
  void isWhatLlmCompressorWrites(String name) {
    Recipe recipe = RecipeReader.parse(resource(name + ".yaml"), name + ".yaml");
    SchemeAssignment assignment = SchemeAssignment.assign(recipe, TinyLlama.MODULES);

    QuantizationConfig config = QuantizationConfig.of(assignment);

    JsonNode golden = MAPPER.readTree(resource(name + ".json"));
    assertThat(MAPPER.readTree(config.toJson().toString())).isEqualTo(golden);
    QuantizationConfig read = QuantizationConfigReader.read(golden, "config.json");
    assertThat(read).isEqualTo(config);
    read.requireDecodable("config.json");
    TargetMatcher matcher = read.matcher("config.json");
    assertThat(assignment.assigned()).hasSize(14);
    for (NamedModule module : TinyLlama.MODULES) {
      assertThat(matcher.match(module).flatMap(QuantizationScheme::weights))
          .as(module.name())
          .isEqualTo(assignment.of(module.name()).flatMap(a -> a.scheme().weights()));
    }
  }

  @Test
  void groupsFollowTheModulesAndNotTheRecipe() {
    QuantizationConfig config =
        config(
            """
            QuantizationModifier:
              scheme:
                W4A16: ['re:.*mlp.*']
                FP8_DYNAMIC: ['re:.*self_attn.*']
              ignore: [lm_head, model.layers.1.mlp.up_proj]
            """);

    assertThat(config.format()).isEqualTo(CompressionFormat.MIXED_PRECISION);
    assertThat(config.groups().get("group_0"))
        .returns(List.of("re:.*self_attn.*"), QuantizationScheme::targets)
        .returns(CompressionFormat.FLOAT_QUANTIZED, QuantizationScheme::effectiveFormat);
    assertThat(config.groups().get("group_1"))
        .returns(List.of("re:.*mlp.*"), QuantizationScheme::targets)
        .returns(CompressionFormat.PACK_QUANTIZED, QuantizationScheme::effectiveFormat);
    assertThat(config.ignore()).containsExactly("model.layers.1.mlp.up_proj", "lm_head");
  }

  @Test
  void modulesThatNoTargetSelectsAreIgnoredByName() {
    QuantizationConfig config =
        config("QuantizationModifier: {scheme: W8A8, targets: ['re:.*(q|k|v|o|gate|up)_proj']}");

    assertThat(config.ignore())
        .containsExactly("model.layers.0.mlp.down_proj", "model.layers.1.mlp.down_proj", "lm_head");
  }

  @Test
  void aForcedFormatIsKept() {
    QuantizationConfig config =
        config(
            """
            QuantizationModifier:
              ignore: [lm_head]
              config_groups:
                packed:
                  targets: [Linear]
                  weights: {num_bits: 4, group_size: 128}
                  input_activations: {num_bits: 8, type: float, strategy: token, dynamic: true}
                  format: pack-quantized
            """);

    assertThat(config.format()).isEqualTo(CompressionFormat.PACK_QUANTIZED);
    assertThat(config.toJson().at("/config_groups/group_0/format").asString())
        .isEqualTo("pack-quantized");
  }

  @Test
  void refusesTargetsThatAReaderWouldMistake() {
    String recipe =
        """
        - QuantizationModifier: {scheme: W8A8, targets: ['re:.*proj'], ignore: [lm_head]}
        - QuantizationModifier: {scheme: W4A16, targets: ['re:.*up_proj'], ignore: [lm_head]}
        """;

    assertThatThrownBy(() -> config(recipe))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("model.layers.0.mlp.up_proj")
        .hasMessageContaining("re:.*up_proj")
        .hasMessageContaining("don't overlap");
  }

  @Test
  void readsWhatItCannotDecodeAndSaysSo() {
    QuantizationConfig mixed = read("mixed-nvfp4-fp8");

    assertThat(mixed.format()).isEqualTo(CompressionFormat.MIXED_PRECISION);
    assertThat(mixed.matcher("config.json").match(NamedModule.linear("model.layers.0.mlp.up_proj")))
        .map(QuantizationScheme::effectiveFormat)
        .contains(CompressionFormat.NVFP4_PACK_QUANTIZED);
    mixed.requireDecodable("config.json");
    QuantizationConfig impossible =
        read(
            """
            {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized",
             "config_groups": {"group_1": {"targets": ["Linear"], "weights": {"num_bits": 8}}}}
            """,
            "some/config.json");
    assertThatThrownBy(() -> impossible.requireDecodable("some/config.json"))
        .isInstanceOf(InvalidInputException.class)
        .hasMessage(
            "some/config.json: this version of Quench can't decode weights with format nvfp4-pack-quantized of group_1.");
    assertThatThrownBy(() -> read("spinquant-r1r2r4-w4a16").requireDecodable("config.json"))
        .hasMessageContaining("transform_config");
    assertThat(read("kv-fp8").kvCacheScheme())
        .map(QuantizationArgs::type)
        .contains(QuantizationArgs.Type.FLOAT);
  }

  @Test
  void readsPresetsOlderFilesAndRegexIgnores() {
    QuantizationConfig config =
        read(
            """
            {"quant_method": "compressed-tensors", "format": "pack-quantized", "some_later_key": 1,
             "config_groups": {
               "FP8_DYNAMIC": ["re:.*down_proj"],
               "group_1": {"targets": ["Linear"], "weights": {"num_bits": 4, "group_size": 32}}},
             "ignore": ["lm_head", "re:.*self_attn.*"]}
            """,
            "config.json");
    TargetMatcher matcher = config.matcher("config.json");

    assertThat(matcher.match(NamedModule.linear("model.layers.0.self_attn.q_proj"))).isEmpty();
    assertThat(matcher.match(NamedModule.linear("lm_head"))).isEmpty();
    assertThat(matcher.match(NamedModule.linear("model.layers.0.mlp.down_proj")))
        .map(QuantizationScheme::effectiveFormat)
        .contains(CompressionFormat.FLOAT_QUANTIZED);
    assertThat(matcher.match(NamedModule.linear("model.layers.0.mlp.up_proj")))
        .map(QuantizationScheme::format)
        .contains(Optional.of(CompressionFormat.PACK_QUANTIZED));
  }

  /** The field is younger than NVFP4. */
  @Test
  void olderFilesLeaveTheDtypeOfScalesToTheFormat() {
    QuantizationConfig config =
        read(
            """
            {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized",
             "config_groups": {"group_0": {"targets": ["Linear"], "weights":
               {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}}}}
            """,
            "config.json");

    config.requireDecodable("config.json");
    assertThat(config.groups().get("group_0"))
        .isNotNull()
        .extracting(group -> group.weights().orElseThrow().scaleFormat())
        .isEqualTo(ScaleFormat.E4M3);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          [] | quantization_config must be an object
          {"quant_method": "gptq"} | quant_method is gptq
          {"quant_method": "compressed-tensors", "format": "pack"} | unknown format "pack"
          {"quant_method": "compressed-tensors", "ignore": "lm_head"} | ignore must be a list of strings
          {"quant_method": "compressed-tensors", "config_groups": {"group_0": 3}} | group_0 must be an object
          {"quant_method": "compressed-tensors", "config_groups": {"W4A61": ["Linear"]}} | no scheme "W4A61". Did you mean W4A16
          {"quant_method": "compressed-tensors", "config_groups": {"g": {"target": []}}} | config_groups.g: unknown field "target". Did you mean targets
          {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"bits": 4}}}} | config_groups.g.weights: unknown field "bits"
          {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": []}}} | weights must be an object
          """)
  void refusesWhatItDoesNotUnderstand(String json, String message) {
    assertThatThrownBy(() -> read(json, "my/config.json"))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("my/config.json: quantization_config")
        .hasMessageContaining(message);
  }

  private static QuantizationConfig config(String recipe) {
    return QuantizationConfig.of(
        SchemeAssignment.assign(RecipeReader.parse(recipe, "recipe.yaml"), TinyLlama.MODULES));
  }

  private static QuantizationConfig read(String name) {
    return read(resource(name + ".json"), "config.json");
  }

  private static QuantizationConfig read(String json, String file) {
    return QuantizationConfigReader.read(MAPPER.readTree(json), file);
  }

  private static String resource(String name) {
    try (InputStream stream =
        Objects.requireNonNull(QuantizationConfigTest.class.getResourceAsStream(name), name)) {
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
