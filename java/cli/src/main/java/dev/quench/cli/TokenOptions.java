package dev.quench.cli;

import dev.quench.InvalidInputException;
import dev.quench.calibration.CalibrationData;
import dev.quench.calibration.CalibrationReader;
import dev.quench.calibration.DataOptions;
import dev.quench.model.Architecture;
import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which tokens go through a model. */
final class TokenOptions {
  private static final int DEFAULT_LENGTH = 2048;

  /** Perplexities are compared at this length if none is given. */
  static final int EVALUATION_LENGTH = 512;

  @Option(
      names = "--samples",
      defaultValue = "512",
      description = "Most rows (default: ${DEFAULT-VALUE}).",
      paramLabel = "N")
  private int samples;

  @Option(
      names = "--sequence-length",
      description =
          "Most tokens of a row (default: 2048, or the model's context if that is shorter).",
      paramLabel = "N")
  private @Nullable Integer sequenceLength;

  @Option(
      names = "--seed",
      defaultValue = "0",
      description = "Seed of the choice of rows (default: ${DEFAULT-VALUE}).",
      paramLabel = "N")
  private long seed;

  @Option(
      names = "--batch-tokens",
      defaultValue = "4096",
      description = "Tokens that go through a layer at a time (default: ${DEFAULT-VALUE}).",
      paramLabel = "N")
  private int batchTokens;

  @Option(
      names = "--packing",
      defaultValue = "rows",
      description =
          "rows: a row is a document; concatenate: documents are joined and cut (default: ${DEFAULT-VALUE}).",
      paramLabel = "KIND")
  private DataOptions.Packing packing = DataOptions.Packing.ROWS;

  int batchTokens() {
    if (batchTokens < 1) {
      throw new InvalidInputException(
          "--batch-tokens must be at least 1, not " + batchTokens + ".");
    }
    return batchTokens;
  }

  /** A text as consecutive rows, for perplexity, of the length that was asked for, or 512. */
  CalibrationData readText(Path file, Path modelFolder, Architecture architecture) {
    return readText(
        file,
        modelFolder,
        architecture,
        Optional.ofNullable(sequenceLength).orElse(EVALUATION_LENGTH));
  }

  /**
   * All of a text, joined and cut into rows of that many tokens, or of the model's context if that
   * is shorter.
   */
  CalibrationData readText(Path file, Path modelFolder, Architecture architecture, int length) {
    DataOptions options =
        new DataOptions(
            Integer.MAX_VALUE,
            Math.min(length, architecture.contextLength()),
            seed,
            DataOptions.Packing.CONCATENATE);
    return new CalibrationReader(modelFolder, architecture.vocabularySize(), options).read(file);
  }

  /** Reads a file's rows, and tells what is to be said of them. */
  CalibrationData read(
      Path file, Path modelFolder, Architecture architecture, ProgressListener listener) {
    int length =
        Optional.ofNullable(sequenceLength)
            .orElse(Math.min(DEFAULT_LENGTH, architecture.contextLength()));
    CalibrationData data =
        new CalibrationReader(
                modelFolder,
                architecture.vocabularySize(),
                new DataOptions(samples, length, seed, packing))
            .read(file);
    if (length > architecture.contextLength()) {
      listener.on(
          new ProgressEvent.Warning(
              "rows of %d tokens are longer than the model's context of %d."
                  .formatted(length, architecture.contextLength())));
    }
    data.warnings().forEach(text -> listener.on(new ProgressEvent.Warning(text)));
    return data;
  }
}
