package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.checkpoint.OutputLayout;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.format.SourceFormat;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Writes a quantized checkpoint as a plain one.
 *
 * @param format of the source
 * @param weights how many were dequantized
 * @param sourceBytes of all its tensors
 * @param outputBytes of all tensors of the result
 */
public record Conversion(SourceFormat format, long weights, long sourceBytes, long outputBytes) {

  /**
   * Converts a checkpoint, tensor by tensor; nothing is left of a run that fails.
   *
   * @param threads that convert a tensor each
   * @throws InvalidInputException if it isn't quantized, or in a form that Quench can't read, or
   *     the output can't be made
   */
  public static Conversion run(
      Path model, Path output, long maxShardSize, int threads, Cancellation cancellation) {
    CheckpointWriter.checkOutput(output, model);
    Checkpoint stored = Checkpoint.open(model);
    SourceFormat format =
        SourceFormat.of(stored)
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        model + " isn't quantized: there is nothing to convert."));
    Checkpoint plain = SourceModel.dequantized(stored);
    List<OutputTensor> tensors =
        plain.tensors().values().stream()
            .map(tensor -> new OutputTensor(tensor.name(), tensor.dtype(), tensor.shape()))
            .toList();
    OutputLayout layout = OutputLayout.plan(tensors, maxShardSize);
    CheckpointWriter writer = CheckpointWriter.create(output, layout);
    boolean finished = false;
    try (writer) {
      try (TensorTasks tasks = new TensorTasks(threads, cancellation, "a weight's conversion")) {
        tasks.copies(plain.tensors().values(), writer).forEach(tasks::await);
      }
      writer.finish(plain.config(), plain.companionFiles(), Map.of());
      finished = true;
    } finally {
      if (!finished) {
        writer.abort();
      }
    }
    return new Conversion(
        format,
        plain.tensors().values().stream().filter(t -> t.decoder().isPresent()).count(),
        stored.tensors().values().stream().mapToLong(TensorInfo::bytes).sum(),
        layout.tensorBytes());
  }
}
