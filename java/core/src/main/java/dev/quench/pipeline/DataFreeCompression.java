package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.QuenchException;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.format.WeightEncoder;
import dev.quench.format.WeightLayout;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.modifier.Rtn;
import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;

/**
 * Rounds all weights to nearest and copies what stays as it is: a task a tensor, on as many threads
 * as the device has lanes.
 */
final class DataFreeCompression {
  private final BlockingQueue<Device> lanes;
  private final CompressionPlan plan;
  private final CheckpointWriter writer;
  private final ProgressListener listener;
  private final Cancellation cancellation;

  /** Set when a task failed: those that come after it do nothing. */
  private volatile boolean failed;

  DataFreeCompression(
      Device device,
      CompressionPlan plan,
      CheckpointWriter writer,
      ProgressListener listener,
      Cancellation cancellation) {
    this.lanes = new LinkedBlockingQueue<>(device.lanes());
    this.plan = plan;
    this.writer = writer;
    this.listener = listener;
    this.cancellation = cancellation;
  }

  /** A module on its way. */
  private record Rounding(String name, Future<Double> seconds) {}

  void run(Consumer<ModuleReport> reports) {
    try (ExecutorService threads =
        Executors.newFixedThreadPool(
            lanes.size(), Thread.ofPlatform().name("quench-tensor-", 1).factory())) {
      List<Future<?>> copies = new ArrayList<>();
      for (TensorInfo tensor : plan.copied()) {
        copies.add(threads.submit(() -> task(() -> writer.copy(tensor))));
      }
      List<Rounding> rounded = new ArrayList<>();
      for (ModulePlan module : plan.modules().values()) {
        String name = module.linear().name();
        rounded.add(new Rounding(name, threads.submit(() -> task(() -> round(module)))));
      }
      try {
        report(rounded, reports);
        for (Future<?> copy : copies) {
          await(copy);
        }
      } finally {
        failed = true;
      }
    }
  }

  /** Tells of the modules in their order, whatever order they are done in. */
  private void report(List<Rounding> rounded, Consumer<ModuleReport> reports) {
    int layers = plan.architecture().layers();
    long begin = System.nanoTime();
    long start = begin;
    int layer = 0;
    for (Rounding module : rounded) {
      String name = module.name();
      while (layer < layers && !name.startsWith(plan.architecture().layer(layer).prefix())) {
        start = layerDone(layer++, layers, begin, start);
      }
      double seconds = await(module.seconds());
      reports.accept(new ModuleReport(name, "rtn", Double.NaN, 0, false, seconds));
      listener.on(new ProgressEvent.ModuleDone(name, "rtn", Double.NaN, seconds));
    }
    while (layer < layers) {
      start = layerDone(layer++, layers, begin, start);
    }
  }

  private long layerDone(int layer, int layers, long begin, long start) {
    long now = System.nanoTime();
    double left = (now - begin) / 1e9 / (layer + 1) * (layers - layer - 1);
    listener.on(new ProgressEvent.LayerDone(layer, layers, (now - start) / 1e9, left));
    return now;
  }

  /** Runs it, and returns the seconds that it took. */
  private double task(Runnable work) {
    if (failed) {
      return 0;
    }
    cancellation.throwIfRequested();
    long start = System.nanoTime();
    work.run();
    return (System.nanoTime() - start) / 1e9;
  }

  private void round(ModulePlan module) {
    Device device = lanes.remove();
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      HostTensor original = plan.checkpoint().read(module.linear().weight(), arena);
      Tensor weight = scope.upload(original);
      WeightLayout layout = module.layout();
      QuantizedWeight result =
          layout.packed()
              ? Rtn.solvePacked(device, weight, module.weights(), scope)
              : Rtn.solve(device, weight, module.weights(), scope);
      new WeightEncoder(device, writer::write).encode(result, layout, original);
      device.synchronize();
    } finally {
      lanes.add(device);
    }
  }

  private static <T> T await(Future<T> future) {
    try {
      return future.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new QuenchException("a weight's compression failed: " + e.getCause(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new QuenchException("interrupted", e);
    }
  }
}
