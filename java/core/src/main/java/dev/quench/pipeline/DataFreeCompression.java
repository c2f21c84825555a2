package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Rounds all weights to nearest and copies what stays as it is: a task a tensor, on as many threads
 * as the device has lanes.
 */
final class DataFreeCompression {
  private static final Pattern LAYER = Pattern.compile(".*?\\.\\d+(?=\\.)");

  /** One for each lane of the device. */
  private final BlockingQueue<WeightRounding> lanes = new LinkedBlockingQueue<>();

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
    GlobalScales globalScales = new GlobalScales(plan.checkpoint(), plan.modules());
    for (Device lane : device.lanes()) {
      lanes.add(new WeightRounding(lane, plan, globalScales, writer));
    }
    this.plan = plan;
    this.writer = writer;
    this.listener = listener;
    this.cancellation = cancellation;
  }

  void run(Consumer<ModuleReport> reports) {
    try (TensorTasks tasks =
        new TensorTasks(lanes.size(), cancellation, "a weight's compression")) {
      List<Future<TensorInfo>> copies = tasks.copies(plan.copied(), writer);
      List<Future<ModuleReport>> rounded = new ArrayList<>();
      for (ModulePlan module : plan.modules().values()) {
        rounded.add(tasks.submit(() -> round(module)));
      }
      report(tasks, rounded, reports);
      copies.forEach(tasks::await);
    }
  }

  private ModuleReport round(ModulePlan module) {
    WeightRounding lane = lanes.remove();
    try {
      return lane.round(module);
    } finally {
      lanes.add(lane);
    }
  }

  /** Tells of the modules in their order, whatever order they are done in. */
  private void report(
      TensorTasks tasks, List<Future<ModuleReport>> rounded, Consumer<ModuleReport> reports) {
    int layers =
        (int) plan.modules().keySet().stream().map(DataFreeCompression::layerOf).distinct().count();
    long begin = System.nanoTime();
    long start = begin;
    int done = 0;
    String layer = "";
    for (Future<ModuleReport> module : rounded) {
      ModuleReport report = tasks.await(module);
      String current = layerOf(report.module());
      if (!current.equals(layer) && !layer.isEmpty()) {
        start = layerDone(done++, layers, begin, start);
      }
      layer = current;
      reports.accept(report);
      listener.on(
          new ProgressEvent.ModuleDone(
              report.module(), report.method(), report.loss(), report.seconds()));
    }
    if (!layer.isEmpty()) {
      layerDone(done, layers, begin, start);
    }
  }

  private long layerDone(int layer, int layers, long begin, long start) {
    long now = System.nanoTime();
    double left = (now - begin) / 1e9 / (layer + 1) * (layers - layer - 1);
    listener.on(new ProgressEvent.LayerDone(layer, layers, (now - start) / 1e9, left));
    return now;
  }

  /** A module's name up to the first number in it. */
  private static String layerOf(String module) {
    Matcher matcher = LAYER.matcher(module);
    return matcher.lookingAt() ? matcher.group() : module;
  }
}
