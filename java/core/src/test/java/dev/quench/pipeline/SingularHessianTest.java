package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.Cancellation;
import dev.quench.QuenchException;
import dev.quench.calibration.CalibrationData;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.progress.ProgressEvent;
import dev.quench.recipe.RecipeReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Eight tokens for inputs of 256 and 384 features: no Hessian has a rank above eight. */
class SingularHessianTest {
  private static final CalibrationData EIGHT_TOKENS =
      new CalibrationData(
          List.of(Arrays.copyOf(Golden.calibration().rows().getFirst(), 8)), "eight", List.of());

  @TempDir Path folder;
  private final List<ProgressEvent> events = new ArrayList<>();

  @Test
  void theUsualDampingIsEnough() {
    CompressionReport report = run("0.01", 0);

    assertThat(report.fallbacks()).isEmpty();
    assertThat(report.damped()).isEmpty();
    assertThat(report.modules())
        .hasSize(14)
        .allSatisfy(module -> assertThat(module.loss()).isFinite().isPositive());
  }

  /**
   * 1e-7 of the diagonal is lost in float32's rounding of a sum of 256; a thousand times it isn't.
   */
  @Test
  void moreDampingIsTriedAndTold() {
    CompressionReport report = run("1e-7", 0);

    assertThat(report.fallbacks()).isEmpty();
    assertThat(report.damped()).isNotEmpty();
    assertThat(warnings())
        .hasSameSizeAs(report.damped())
        .allSatisfy(text -> assertThat(text).contains("damping was raised tenfold"));
  }

  /** Even a thousandfold damping is below half a unit in the last place of the diagonal. */
  @Test
  void withoutDampingWeightsAreRoundedToNearest() {
    CompressionReport report = run("1e-12", 14);

    assertThat(report.fallbacks()).hasSize(14);
    assertThat(report.modules()).allSatisfy(module -> assertThat(module.method()).isEqualTo("rtn"));
    assertThat(warnings())
        .hasSize(14)
        .allSatisfy(text -> assertThat(text).contains("rounded to nearest"));
    assertThat(Golden.digests(report.output()))
        .containsExactlyEntriesOf(Golden.expected("rtn-w4a16"));
  }

  @Test
  void tooManyFallbacksFailTheRun() {
    assertThatThrownBy(() -> run("1e-12", 13))
        .isInstanceOf(QuenchException.class)
        .hasMessageContaining("14 modules fell back")
        .hasMessageContaining("--max-fallbacks allows 13")
        .hasMessageContaining("model.layers.0.self_attn.q_proj, ")
        .hasMessageContaining("model.layers.1.mlp.down_proj");
    assertThat(folder.resolve("out")).doesNotExist();
  }

  @Test
  void aFailedRunCanBeResumedWithMorePatience() {
    assertThatThrownBy(() -> run("1e-12", 13)).isInstanceOf(QuenchException.class);

    CompressionReport report = run("1e-12", 14, true);

    assertThat(report.fallbacks()).hasSize(14);
    assertThat(Golden.digests(report.output()))
        .containsExactlyEntriesOf(Golden.expected("rtn-w4a16"));
  }

  private CompressionReport run(String damping, int maxFallbacks) {
    return run(damping, maxFallbacks, false);
  }

  private CompressionReport run(String damping, int maxFallbacks, boolean resume) {
    CompressRequest request =
        Golden.request(
            RecipeReader.parse(
                "GPTQModifier: {scheme: W4A16, targets: [Linear], ignore: [lm_head], dampening_frac: %s}"
                    .formatted(damping),
                "recipe.yaml"),
            folder.resolve("out"));
    request =
        new CompressRequest(
            request.model(),
            request.output(),
            request.recipe(),
            Optional.of(EIGHT_TOKENS),
            request.batchTokens(),
            request.propagation(),
            request.activations(),
            request.maxShardSize(),
            maxFallbacks,
            resume,
            request.resources());
    try (Device device = new CpuDevice(2)) {
      return new Compressor(
              device, request, CompressionPlan.of(request), events::add, new Cancellation())
          .run();
    }
  }

  private List<String> warnings() {
    return events.stream()
        .filter(ProgressEvent.Warning.class::isInstance)
        .map(event -> ((ProgressEvent.Warning) event).text())
        .toList();
  }
}
