package dev.quench.pipeline;

import dev.quench.calibration.Batch;
import dev.quench.calibration.CalibrationData;
import dev.quench.recipe.Recipe;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What to compress, how, and where to.
 *
 * @param model folder of the checkpoint
 * @param output folder that is made
 * @param calibration token rows; needed if a modifier of the recipe observes activations
 * @param batchTokens tokens that go through the model at a time
 * @param maxShardSize bytes of a file of the output, unless a single tensor is larger
 * @param maxFallbacks modules that may fall back to round-to-nearest before the run counts as
 *     failed
 * @param resume go on with what a killed run of the same request left
 */
public record CompressRequest(
    Path model,
    Path output,
    Recipe recipe,
    Optional<CalibrationData> calibration,
    int batchTokens,
    Propagation propagation,
    long maxShardSize,
    int maxFallbacks,
    boolean resume,
    Resources resources) {

  /** The calibration rows in batches; none without calibration. */
  List<Batch> batches() {
    return calibration.map(data -> Batch.of(data.rows(), batchTokens)).orElse(List.of());
  }
}
