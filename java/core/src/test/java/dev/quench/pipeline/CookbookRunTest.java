package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.recipe.ModifierSpec;
import dev.quench.recipe.Recipe;
import dev.quench.recipe.RecipeReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Recipes as llm-compressor's users have them run as they are, and the output holds a recipe that
 * says the same.
 */
class CookbookRunTest {
  @TempDir Path folder;

  static Stream<Arguments> recipes() {
    Path llama = Golden.BASE;
    Path moe = Golden.moe("base");
    return Stream.of(
        Arguments.of(
            "preset.yaml",
            moe,
            """
            quant_stage:
              quant_modifiers:
                QuantizationModifier:
                  targets: ["Linear"]
                  scheme: FP8_DYNAMIC
                  ignore: ["lm_head", "re:.*mlp.gate$"]
            """,
            "[float-quantized]"),
        Arguments.of(
            "map.yaml",
            llama,
            """
            QuantizationModifier:
              scheme:
                NVFP4A16: ["re:.*mlp.*"]
                FP8_DYNAMIC: ["re:.*self_attn.*"]
              ignore: ["lm_head"]
            """,
            "[float-quantized, nvfp4-pack-quantized]"),
        Arguments.of(
            "groups.json",
            llama,
            """
            {"quant_stage": {"quant_modifiers": {"QuantizationModifier": {
              "ignore": ["lm_head"],
              "config_groups": {
                "group_0": {
                  "targets": ["re:.*down_proj$"],
                  "weights": {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": true, "dynamic": false},
                  "input_activations": {"num_bits": 8, "type": "float", "strategy": "token", "symmetric": true, "dynamic": true}},
                "group_1": {
                  "targets": ["re:.*(q|k|v|o)_proj$", "re:.*(gate|up)_proj$"],
                  "weights": {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "symmetric": true,
                              "scale_dtype": "float8_e4m3fn"}}}}}}}
            """,
            "[nvfp4-pack-quantized, float-quantized]"),
        Arguments.of(
            "two.yaml",
            llama,
            """
            quant_stage:
              quant_modifiers:
                QuantizationModifier: {scheme: W4A16, targets: ["re:.*self_attn.*_proj$"], ignore: [lm_head]}
                GPTQModifier: {scheme: W8A8, targets: ["re:.*mlp.*_proj$"], ignore: [lm_head], actorder: null, dampening_frac: 0.001}
            """,
            "[pack-quantized, int-quantized]"),
        Arguments.of(
            "stages.md",
            llama,
            """
            ---
            attention_stage:
              attention_modifiers:
                - QuantizationModifier: {scheme: W8A8, targets: ["re:.*self_attn.*"], group: attention}
            mlp_stage:
              run_type: oneshot
              mlp_modifiers:
                QuantizationModifier: {scheme: MXFP4, targets: ["re:.*mlp.*"]}
            ---
            # What this is for
            Attention in eight bits, the rest in four.
            """,
            "[int-quantized, mxfp4-pack-quantized]"),
        Arguments.of(
            "embedding.yaml",
            llama,
            "QuantizationModifier: {scheme: W8A16, targets: [Embedding], observer: {weights: mse}}",
            "[pack-quantized]"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("recipes")
  void runs(String file, Path model, String text, String formats) throws IOException {
    Path source = Files.writeString(folder.resolve(file), text);
    Recipe recipe = RecipeReader.read(source);
    Path output = folder.resolve("out");

    try (Device device = new CpuDevice(2)) {
      Golden.compress(device, Golden.request(model, recipe, output));
    }

    assertThat(Verification.of(output).problems()).isEmpty();
    LoadedModel compressed = LoadedModel.open(output);
    assertThat(
            compressed.quantization().orElseThrow().groups().values().stream()
                .map(group -> group.effectiveFormat().configName())
                .toList())
        .hasToString(formats);
    assertThat(said(RecipeReader.read(output.resolve("recipe.yaml")))).isEqualTo(said(recipe));
  }

  private static List<String> said(Recipe recipe) {
    return recipe.modifiers().stream().map(CookbookRunTest::said).toList();
  }

  private static String said(ModifierSpec modifier) {
    return modifier.name() + " " + modifier.quantization();
  }
}
