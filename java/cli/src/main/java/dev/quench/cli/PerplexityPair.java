package dev.quench.cli;

import dev.quench.Cancellation;
import dev.quench.calibration.Batch;
import dev.quench.device.Device;
import dev.quench.pipeline.LoadedModel;
import dev.quench.pipeline.Perplexity;
import dev.quench.pipeline.Resources;
import java.nio.file.Path;
import java.util.List;

/** Perplexity of a model before and after its compression, on the same rows. */
record PerplexityPair(Path text, Perplexity before, Perplexity after) {

  static PerplexityPair measure(
      Device device,
      Path model,
      Path compressed,
      EvaluationText text,
      Resources resources,
      Cancellation cancellation) {
    List<Batch> batches = text.batches();
    return new PerplexityPair(
        text.file(),
        perplexity(device, LoadedModel.open(model), batches, resources, cancellation),
        perplexity(device, LoadedModel.open(compressed), batches, resources, cancellation));
  }

  static Perplexity perplexity(
      Device device,
      LoadedModel model,
      List<Batch> batches,
      Resources resources,
      Cancellation cancellation) {
    return Perplexity.of(device, model, batches, resources, (_, _) -> {}, cancellation);
  }
}
