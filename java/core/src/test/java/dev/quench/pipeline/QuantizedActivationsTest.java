package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.Cancellation;
import dev.quench.InvalidInputException;
import dev.quench.calibration.Batch;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.recipe.RecipeReader;
import dev.quench.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SortedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Activations that are quantized by ranges known beforehand: how they are found, and their use. */
class QuantizedActivationsTest {
  /**
   * Two modifiers share a pass: statistics for GPTQ, for an imatrix, for inputs and for a cache.
   */
  private static final String ALL =
      """
      quant_stage:
        quant_modifiers:
          QuantizationModifier:
            kv_cache_scheme: {num_bits: 8, type: float, strategy: attn_head}
            config_groups:
              a:
                targets: ["re:.*self_attn.*_proj$", lm_head]
                weights: {num_bits: 8, type: int, strategy: channel, observer: imatrix_mse}
                input_activations: {num_bits: 8, type: int, strategy: tensor, symmetric: false, observer: mse}
          GPTQModifier: {scheme: FP8, targets: ["re:.*mlp.*_proj$"]}
      """;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource
  void threadsAndStopsDoNotShow(Propagation propagation) {
    CompressRequest whole = request(ALL, "whole", propagation, 256);
    CompressRequest stopped = request(ALL, "stopped", propagation, 256);
    try (Device device = new CpuDevice(2);
        Device other = new CpuDevice(1)) {
      Golden.compress(device, whole);
      DeterminismTest.stopAfter(0, device, stopped);
      Golden.compress(other, Golden.with(stopped, propagation, DType.F32, true));
    }

    assertThat(Golden.files(stopped.output())).isEqualTo(Golden.files(whole.output()));
    assertThat(Verification.of(whole.output()).problems()).isEmpty();
  }

  /**
   * Ranges are of calibration rows, so that no observer's result depends on how they are batched.
   */
  @ParameterizedTest
  @CsvSource({"minmax", "static_minmax", "memoryless_minmax", "mse", "memoryless_mse"})
  void batchesDoNotShow(String observer) {
    String recipe =
        "QuantizationModifier: {scheme: FP8, input_observer: "
            + observer
            + ", kv_cache_scheme: {type: float, strategy: tensor, observer: "
            + observer
            + "}}";
    try (Device device = new CpuDevice(2)) {
      Golden.compress(device, request(recipe, "one", Propagation.STEP, 64));
      Golden.compress(device, request(recipe, "four", Propagation.STEP, 256));
    }

    assertThat(scales("one")).hasSize(14 + 1 + 4).isEqualTo(scales("four"));
  }

  /**
   * What is quantized shows. Integers of 8 bits cut each range in 255 steps, so that the result is
   * near that of exact activations; a bound of the logits' error doesn't follow from that, but
   * exact activations must be nearer.
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "scheme: FP8",
        "scheme: NVFP4",
        "scheme: W8A8, kv_cache_scheme: {strategy: tensor, symmetric: false}",
        "kv_cache_scheme: {strategy: attn_head}",
        "kv_cache_scheme: {type: float, strategy: tensor}",
        "config_groups: {a: {targets: [LlamaAttention], input_activations: {strategy: attn_head}}}",
      })
  void whatTheCheckpointQuantizesIsQuantized(String fields) {
    Path output = folder.resolve("out");
    try (Device device = new CpuDevice(2)) {
      Golden.compress(
          device, request("QuantizationModifier: {" + fields + "}", "out", Propagation.STEP, 256));
      LoadedModel compressed = LoadedModel.open(output);
      double exact = error(device, compressed.withExactActivations());
      double quantized = error(device, compressed);

      assertThat(quantized).isGreaterThan(exact).isLessThan(1);
      assertThat(Verification.of(output).problems()).isEmpty();
      assertThat(Inspection.of(compressed).others())
          .noneMatch(tensor -> tensor.name().matches(".*\\.input_(scale|zero_point|global_scale)"));
    }
  }

  private static double error(Device device, LoadedModel model) {
    return Comparison.of(
            device,
            LoadedModel.open(Golden.BASE),
            model,
            Batch.of(Golden.calibration().rows(), 256),
            Golden.resources(model.checkpoint().folder()),
            (index, total) -> {},
            new Cancellation())
        .logitsError();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "config_groups: {a: {targets: [Linear], input_activations: {strategy: tensor}}} | its config group has no weights",
        "config_groups: {a: {targets: [LlamaAttention], weights: {strategy: tensor}}} | has no weights of its own",
        "scheme: W4A16, targets: [Embedding], weight_observer: imatrix_mse | is an embedding, which has no input",
        "config_groups: {a: {targets: ['re:.*layers.0.self_attn$'], input_activations: {strategy: tensor}}} | of all attention modules must be quantized alike",
        "kv_cache_scheme: {strategy: attn_head}, config_groups: {a: {targets: [LlamaAttention], input_activations: {strategy: tensor}}} | of all attention modules must be quantized alike",
        "config_groups: {a: {targets: ['re:.*self_attn.*'], input_activations: {strategy: tensor}}} | its config group has no weights",
      })
  void refusesWhatDoesNotFit(String fields, String message) {
    CompressRequest request =
        request("QuantizationModifier: {" + fields + "}", "out", Propagation.STEP, 256);

    assertThatThrownBy(() -> CompressionPlan.of(request))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(message);
  }

  @Test
  void aCacheNeedsADescriptionOfTheFamily() {
    CompressRequest request =
        Golden.request(
            Golden.moe("base"),
            RecipeReader.parse(
                "QuantizationModifier: {kv_cache_scheme: {strategy: tensor}}", "recipe.yaml"),
            folder.resolve("out"));

    assertThatThrownBy(() -> CompressionPlan.of(request))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("kv_cache_scheme: qwen3_moe is a model_type");
  }

  /** A dynamic cache needs no scales and no data. */
  @Test
  void aDynamicCacheIsOnlyDeclared() {
    Path output = folder.resolve("out");
    CompressRequest request =
        request(
            "QuantizationModifier: {scheme: W4A16, kv_cache_scheme: {strategy: tensor, dynamic: true}}",
            "out",
            Propagation.STEP,
            256);
    assertThat(CompressionPlan.of(request).needsCalibration()).isFalse();
    try (Device device = new CpuDevice(2)) {
      Golden.compress(device, request);
    }

    assertThat(Golden.digests(output).keySet()).noneMatch(name -> name.endsWith(".k_scale"));
    assertThat(LoadedModel.open(output).quantization().orElseThrow().kvCacheScheme()).isPresent();
  }

  @Test
  void verifyFindsWhatIsMissingOrWrong() throws IOException {
    Path output = folder.resolve("out");
    try (Device device = new CpuDevice(2)) {
      Golden.compress(
          device,
          request(
              "QuantizationModifier: {kv_cache_scheme: {type: float, strategy: tensor}}",
              "out",
              Propagation.STEP,
              256));
    }
    Path config = output.resolve("config.json");
    Files.writeString(config, Files.readString(config).replace("\"tensor\"", "\"attn_head\""));

    assertThat(Verification.of(output).problems())
        .contains(
            "tensor model.layers.0.self_attn.k_scale is BF16 [1], the quantization_config makes it BF16 [2, 1, 1].");
  }

  private SortedMap<String, Golden.Digest> scales(String name) {
    SortedMap<String, Golden.Digest> scales = Golden.digests(folder.resolve(name));
    Checkpoint base = Checkpoint.open(Golden.BASE);
    scales.keySet().removeIf(tensor -> base.tensors().containsKey(tensor));
    scales.keySet().removeIf(tensor -> tensor.endsWith("weight_scale"));
    return scales;
  }

  private CompressRequest request(
      String recipe, String output, Propagation propagation, int batchTokens) {
    CompressRequest request =
        Golden.request(RecipeReader.parse(recipe, "recipe.yaml"), folder.resolve(output));
    return new CompressRequest(
        request.model(),
        request.output(),
        request.recipe(),
        request.calibration(),
        batchTokens,
        propagation,
        DType.F32,
        request.maxShardSize(),
        request.maxFallbacks(),
        request.resume(),
        request.resources());
  }
}
