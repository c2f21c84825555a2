package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.Cancellation;
import dev.quench.CancelledException;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import dev.quench.recipe.Recipe;
import dev.quench.recipe.RecipeReader;
import dev.quench.tensor.DType;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.SortedMap;
import java.util.stream.Collectors;
import org.assertj.core.groups.Tuple;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The same command gives the same files, whatever the threads, and however often it was stopped.
 */
class DeterminismTest {
  /**
   * Some linears rounded to nearest, which only some orders of propagation see; so is the
   * embedding, after all layers; a calibrated head.
   */
  private static final Recipe MIXED =
      RecipeReader.parse(
          """
          quant_stage:
            quant_modifiers:
              QuantizationModifier: {scheme: W4A16, targets: ["re:.*self_attn.*_proj$", Embedding]}
              GPTQModifier: {scheme: W8A8, targets: ["re:.*mlp.*_proj$", lm_head]}
          """,
          "recipe.yaml");

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource
  void threadsDoNotShow(Propagation propagation) {
    SortedMap<String, String> once = run(1, "once", propagation);

    assertThat(once)
        .containsOnlyKeys(
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "recipe.yaml",
            "tokenizer.json",
            "tokenizer_config.json");
    assertThat(run(1, "again", propagation)).isEqualTo(once);
    assertThat(run(2, "two", propagation)).isEqualTo(once);
    assertThat(run(3, "three", propagation)).isEqualTo(once);
  }

  @ParameterizedTest
  @CsvSource({
    "gptq-w4a16, STEP, F32, 0",
    "gptq-w4a16, STEP, F32, 1",
    "gptq-w4a16, LAYER, BF16, 0",
    "mixed, STEP, F32, 0",
    "mixed, STEP, F32, 1",
    "mixed, LAYER, F32, 0",
    "mixed, LAYER, F32, 1",
  })
  void stoppingDoesNotShow(String name, Propagation propagation, DType activations, int layer) {
    Recipe recipe = name.equals("mixed") ? MIXED : Golden.recipe(name);
    CompressRequest whole =
        Golden.with(
            Golden.request(recipe, folder.resolve("whole")), propagation, activations, false);
    CompressRequest stopped =
        Golden.with(
            Golden.request(recipe, folder.resolve("stopped")), propagation, activations, false);
    CompressRequest resumed = Golden.with(stopped, propagation, activations, true);

    try (Device device = new CpuDevice(2);
        Device other = new CpuDevice(1)) {
      CompressionReport report = Golden.compress(device, whole);
      stopAfter(layer, device, stopped);
      assertThat(stopped.output()).doesNotExist();
      CompressionReport after = Golden.compress(other, resumed);

      assertThat(after.modules())
          .extracting(ModuleReport::module, ModuleReport::method, ModuleReport::loss)
          .containsExactlyElementsOf(
              report.modules().stream()
                  .map(m -> Tuple.tuple(m.module(), m.method(), m.loss()))
                  .toList());
    }
    assertThat(Golden.files(resumed.output())).isEqualTo(Golden.files(whole.output()));
    assertThat(CheckpointWriter.partialFolder(resumed.output())).doesNotExist();
  }

  /**
   * Data-free results are the same bytes on every machine. The number is what {@code sha256sum * |
   * sha256sum} prints in the output.
   */
  @Test
  void roundToNearestIsTheSameEverywhere() {
    Path output = folder.resolve("out");
    try (Device device = new CpuDevice(2)) {
      Golden.compress(device, Golden.request(Golden.recipe("rtn-w4a16"), output));
    }

    String sums =
        Golden.files(output).entrySet().stream()
            .map(file -> file.getValue() + "  " + file.getKey() + "\n")
            .collect(Collectors.joining());
    assertThat(Golden.sha256(sums.getBytes(StandardCharsets.UTF_8)))
        .as(sums)
        .isEqualTo("4e776328b3a4285b749c3b41e4276a6fc841414147fb41471f7f9a2a2aa33a59");
  }

  private SortedMap<String, String> run(int threads, String name, Propagation propagation) {
    Path output = folder.resolve(name);
    try (Device device = new CpuDevice(threads)) {
      Golden.compress(
          device,
          Golden.with(
              Golden.request(Golden.recipe("gptq-w4a16"), output), propagation, DType.F32, false));
    }
    return Golden.files(output);
  }

  static void stopAfter(int layer, Device device, CompressRequest request) {
    Cancellation cancellation = new Cancellation();
    ProgressListener stopper =
        event -> {
          if (event instanceof ProgressEvent.LayerDone done && done.index() == layer) {
            cancellation.request();
          }
        };
    Compressor compressor =
        new Compressor(device, request, CompressionPlan.of(request), stopper, cancellation);
    assertThatThrownBy(compressor::run).isInstanceOf(CancelledException.class);
    assertThat(CheckpointWriter.partialFolder(request.output())).isDirectory();
  }
}
