package dev.quench.cli;

import dev.quench.Cancellation;
import dev.quench.calibration.Batch;
import dev.quench.device.Device;
import dev.quench.pipeline.LoadedModel;
import dev.quench.pipeline.Perplexity;
import dev.quench.pipeline.Resources;
import dev.quench.progress.ProgressListener;
import java.nio.file.Path;
import java.util.List;

/** Perplexity of a model before and after its compression, on the same rows. */
record PerplexityPair(Path text, Perplexity before, Perplexity after) {

  static PerplexityPair measure(
      Device device,
      Path model,
      Path compressed,
      Path text,
      TokenOptions tokens,
      Resources resources,
      ProgressListener listener,
      Cancellation cancellation) {
    LoadedModel before = LoadedModel.open(model);
    List<Batch> batches =
        Batch.of(
            tokens.readText(text, model, before.architecture(), listener).rows(),
            tokens.batchTokens());
    return new PerplexityPair(
        text,
        perplexity(device, before, batches, resources, cancellation),
        perplexity(device, LoadedModel.open(compressed), batches, resources, cancellation));
  }

  static Perplexity perplexity(
      Device device,
      LoadedModel model,
      List<Batch> batches,
      Resources resources,
      Cancellation cancellation) {
    return Perplexity.of(
        device,
        model.architecture(),
        model.weights(device),
        batches,
        resources,
        (_, _) -> {},
        cancellation);
  }
}
