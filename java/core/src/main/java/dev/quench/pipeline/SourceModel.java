package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.format.LayoutForm;
import dev.quench.format.PlainCheckpoint;
import dev.quench.format.SourceFormat;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** Opens the checkpoint that a job starts from. */
public final class SourceModel {
  private SourceModel() {}

  /**
   * A checkpoint that isn't quantized.
   *
   * @throws InvalidInputException if it is; the message says what to do
   */
  public static Checkpoint open(Path folder) {
    Checkpoint checkpoint = Checkpoint.open(folder);
    SourceFormat.of(checkpoint)
        .ifPresent(
            format -> {
              throw new InvalidInputException(
                  "%s is compressed already (%s). Start from the original checkpoint, or give --dequantize to start from what is left of it."
                      .formatted(folder, format.title()));
            });
    return checkpoint;
  }

  /**
   * A checkpoint whose weights are dequantized when they are read, if they are quantized.
   *
   * @throws InvalidInputException if they are in a form that Quench can't read
   */
  public static Checkpoint dequantized(Path folder) {
    return dequantized(Checkpoint.open(folder));
  }

  /** The same of a checkpoint that is open. */
  static Checkpoint dequantized(Checkpoint checkpoint) {
    Optional<SourceFormat> format = SourceFormat.of(checkpoint);
    if (format.isEmpty()) {
      return checkpoint;
    }
    return format.get() == SourceFormat.COMPRESSED_TENSORS
        ? decompressed(LoadedModel.of(checkpoint))
        : format.get().plain(checkpoint);
  }

  private static Checkpoint decompressed(LoadedModel model) {
    Map<String, LayoutForm> forms = new LinkedHashMap<>();
    model
        .layouts()
        .forEach((name, layout) -> forms.put(name, LayoutForm.of(model.checkpoint(), layout)));
    return PlainCheckpoint.of(model.checkpoint(), forms);
  }
}
