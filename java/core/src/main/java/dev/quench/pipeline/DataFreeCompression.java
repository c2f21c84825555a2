package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.QuenchException;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
import dev.quench.format.WeightEncoder;
import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Rounds all weights to nearest, while another thread copies the tensors that stay as they are. */
final class DataFreeCompression {
  private static final Pattern LAYER = Pattern.compile(".*?\\.\\d+(?=\\.)");

  private final Device device;
  private final CompressionPlan plan;
  private final CheckpointWriter writer;
  private final ProgressListener listener;
  private final Cancellation cancellation;

  DataFreeCompression(
      Device device,
      CompressionPlan plan,
      CheckpointWriter writer,
      ProgressListener listener,
      Cancellation cancellation) {
    this.device = device;
    this.plan = plan;
    this.writer = writer;
    this.listener = listener;
    this.cancellation = cancellation;
  }

  void run(Consumer<ModuleReport> reports) {
    try (ExecutorService copier =
        Executors.newSingleThreadExecutor(Thread.ofPlatform().name("quench-copy").factory())) {
      Future<?> copies = copier.submit(this::copyAll);
      roundAll(reports);
      await(copies);
    }
  }

  private void copyAll() {
    for (TensorInfo tensor : plan.copied()) {
      cancellation.throwIfRequested();
      writer.copy(tensor);
    }
  }

  private void roundAll(Consumer<ModuleReport> reports) {
    WeightRounding rounding =
        new WeightRounding(device, plan, new WeightEncoder(device, writer::write));
    List<String> layers =
        plan.modules().keySet().stream().map(DataFreeCompression::layerOf).distinct().toList();
    long begin = System.nanoTime();
    String layer = "";
    int done = 0;
    for (ModulePlan module : plan.modules().values()) {
      cancellation.throwIfRequested();
      ModuleReport report = rounding.round(module);
      reports.accept(report);
      listener.on(
          new ProgressEvent.ModuleDone(
              report.module(), report.method(), report.loss(), report.seconds()));
      if (!layerOf(report.module()).equals(layer)) {
        layer = layerOf(report.module());
        double spent = (System.nanoTime() - begin) / 1e9;
        listener.on(
            new ProgressEvent.LayerDone(
                done,
                layers.size(),
                report.seconds(),
                spent / (done + 1) * (layers.size() - done - 1)));
        done++;
      }
    }
  }

  /** A module's name up to the first number in it. */
  private static String layerOf(String module) {
    Matcher matcher = LAYER.matcher(module);
    return matcher.lookingAt() ? matcher.group() : module;
  }

  private static void await(Future<?> future) {
    try {
      future.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new QuenchException("copying tensors failed: " + e.getCause(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new QuenchException("interrupted", e);
    }
  }
}
