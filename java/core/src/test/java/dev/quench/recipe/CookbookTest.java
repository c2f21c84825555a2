package dev.quench.recipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Recipes as llm-compressor's users have them: they run, or the error says what's missing. */
class CookbookTest {
  @Test
  void roundToNearest() {
    Recipe recipe =
        parse(
            """
            quant_stage:
              quant_modifiers:
                QuantizationModifier:
                  targets: ["Linear"]
                  scheme: FP8_DYNAMIC
                  ignore: ["lm_head", "re:.*mlp.gate$"]
            """);

    assertThat(recipe.modifiers()).hasSize(1);
  }

  @Test
  void twoModifiersForDifferentModules() {
    Recipe recipe =
        parse(
            """
            quant_stage:
              quant_modifiers:
                QuantizationModifier: {scheme: W4A16, targets: ["re:.*self_attn.*_proj$"], ignore: [lm_head]}
                GPTQModifier: {scheme: W8A8, targets: ["re:.*mlp.*_proj$"], ignore: [lm_head], actorder: null, dampening_frac: 0.001}
            """);

    SchemeAssignment assignment = SchemeAssignment.assign(recipe, TinyLlama.MODULES);

    assertThat(assignment.of("model.layers.1.self_attn.k_proj"))
        .map(assigned -> assigned.modifier().name())
        .contains("QuantizationModifier");
    assertThat(assignment.of("model.layers.1.mlp.up_proj"))
        .map(assigned -> assigned.modifier().name())
        .contains("GPTQModifier");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        """
        QuantizationModifier:
          scheme:
            NVFP4: ["re:.*mlp.*"]
            FP8_DYNAMIC: ["re:.*self_attn.*"]
          ignore: ["lm_head"]
        """,
        """
        QuantizationModifier:
          ignore: ["lm_head"]
          config_groups:
            group_0:
              targets: ["re:.*down_proj$"]
              weights: {num_bits: 8, type: float, strategy: channel, symmetric: true, dynamic: false}
              input_activations: {num_bits: 8, type: float, strategy: token, symmetric: true, dynamic: true}
            group_1:
              targets: ["re:.*(q|k|v|o)_proj$", "re:.*(gate|up)_proj$"]
              weights: {num_bits: 4, type: float, strategy: tensor_group, group_size: 16, symmetric: true, scale_dtype: float8_e4m3fn}
              input_activations: {num_bits: 4, type: float, strategy: tensor_group, group_size: 16, symmetric: true, dynamic: local}
        """,
        """
        GPTQModifier:
          ignore: [lm_head]
          actorder: null
          config_groups:
            group_0:
              targets: [Linear]
              weights: {num_bits: 8, type: int, symmetric: true, strategy: channel}
              input_activations: {num_bits: 8, type: int, symmetric: false, dynamic: false, strategy: tensor, observer: static_minmax}
        """,
        "QuantizationModifier: {kv_cache_scheme: {num_bits: 8, type: float, symmetric: true, strategy: tensor}}",
        """
        QuantizationModifier:
          config_groups:
            attention:
              targets: ["LlamaAttention"]
              input_activations: {num_bits: 8, type: float, symmetric: true, strategy: attn_head}
        """,
        "QuantizationModifier: {config_groups: {a: {targets: [Linear], weights: {num_bits: 4, group_size: 128, observer: imatrix_mse, observer_kwargs: {maxshrink: 0.95, grid: 20, norm: 3.0}}}}}",
      })
  void activationsAreSeen(String recipe) {
    SchemeAssignment assignment = SchemeAssignment.assign(parse(recipe), TinyLlama.MODULES);

    assertThat(QuantizationConfig.of(assignment).toJson()).isNotEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        """
        quant_stage:
          quant_modifiers:
            AWQModifier:
              duo_scaling: both
              mappings:
                - {smooth_layer: "re:.*input_layernorm$", balance_layers: ["re:.*q_proj$", "re:.*k_proj$"]}
            QuantizationModifier: {scheme: W4A16}
        """,
        """
        quant_stage:
          quant_modifiers:
            SmoothQuantModifier:
              smoothing_strength: 0.8
              mappings: [[["re:.*q_proj", "re:.*k_proj", "re:.*v_proj"], "re:.*input_layernorm"]]
            GPTQModifier: {scheme: W8A8}
        """,
        "SpinQuantModifier: {rotations: [R1, R2, R4], transform_type: hadamard, transform_block_size: 128}",
        "QuIPModifier: {rotations: [v]}",
        """
        pruning_stage:
          obcq_modifiers:
            SparseGPTModifier: {sparsity: 0.5, mask_structure: "2:4", targets: ["LlamaDecoderLayer"]}
        """,
        "AutoRoundModifier: {scheme: W4A16, targets: [Linear], ignore: [lm_head], iters: 200}",
        "REAPPruningModifier: {sparsity: 0.25}",
      })
  void whatIsMissingIsSaid(String recipe) {
    assertThatThrownBy(() -> parse(recipe))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageMatching("recipe\\.yaml, line \\d+: .* not supported yet.*");
  }

  private static Recipe parse(String text) {
    return RecipeReader.parse(text, "recipe.yaml");
  }
}
