package dev.quench.cli;

import dev.quench.calibration.Batch;
import dev.quench.model.Architecture;
import java.nio.file.Path;
import java.util.List;

/**
 * A text to measure perplexity on, read before the work starts: what is wrong with it shows then.
 */
record EvaluationText(Path file, List<Batch> batches) {
  EvaluationText {
    batches = List.copyOf(batches);
  }

  static EvaluationText read(
      Path file, Path model, Architecture architecture, TokenOptions tokens) {
    return new EvaluationText(
        file,
        Batch.of(
            tokens.readText(file, model, architecture, TokenOptions.EVALUATION_LENGTH).rows(),
            tokens.batchTokens()));
  }
}
