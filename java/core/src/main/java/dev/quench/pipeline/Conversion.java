package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.checkpoint.OutputLayout;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.format.SourceFormat;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

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
    Checkpoint plain = SourceModel.dequantized(model);
    List<OutputTensor> tensors =
        plain.tensors().values().stream()
            .map(tensor -> new OutputTensor(tensor.name(), tensor.dtype(), tensor.shape()))
            .toList();
    OutputLayout layout = OutputLayout.plan(tensors, maxShardSize);
    CheckpointWriter writer = CheckpointWriter.create(output, layout);
    boolean finished = false;
    try (writer) {
      copyAll(plain, writer, threads, cancellation);
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

  private static void copyAll(
      Checkpoint plain, CheckpointWriter writer, int threads, Cancellation cancellation) {
    try (ExecutorService pool =
        Executors.newFixedThreadPool(
            threads, Thread.ofPlatform().name("quench-tensor-", 1).factory())) {
      List<Future<?>> copies = new ArrayList<>();
      for (TensorInfo tensor : plain.tensors().values()) {
        copies.add(
            pool.submit(
                () -> {
                  cancellation.throwIfRequested();
                  writer.copy(tensor);
                }));
      }
      boolean finished = false;
      try {
        for (Future<?> copy : copies) {
          await(copy);
        }
        finished = true;
      } finally {
        if (!finished) {
          pool.shutdownNow();
        }
      }
    }
  }

  private static void await(Future<?> copy) {
    try {
      copy.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new QuenchException("a weight's conversion failed: " + e.getCause(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new QuenchException("interrupted", e);
    }
  }
}
