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
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;

/** Rounds all weights to nearest, while another thread copies the tensors that stay as they are. */
final class DataFreeCompression {
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
    WeightEncoder encoder = new WeightEncoder(device, writer::write);
    GlobalScales globalScales = new GlobalScales(device, plan.checkpoint(), plan.modules());
    int layers = plan.architecture().layers();
    long begin = System.nanoTime();
    int layer = -1;
    for (ModulePlan module : plan.modules().values()) {
      cancellation.throwIfRequested();
      long start = System.nanoTime();
      round(module, globalScales.of(module), encoder);
      double seconds = (System.nanoTime() - start) / 1e9;
      reports.accept(
          new ModuleReport(module.linear().name(), "rtn", Double.NaN, 0, false, seconds));
      listener.on(new ProgressEvent.ModuleDone(module.linear().name(), "rtn", Double.NaN, seconds));
      int current = layerOf(module, Math.max(layer, 0));
      if (current != layer) {
        double spent = (System.nanoTime() - begin) / 1e9;
        listener.on(
            new ProgressEvent.LayerDone(
                current, layers, seconds, spent / (current + 1) * (layers - current - 1)));
        layer = current;
      }
    }
  }

  private int layerOf(ModulePlan module, int from) {
    for (int i = from; i < plan.architecture().layers(); i++) {
      if (module.linear().name().startsWith(plan.architecture().layer(i).prefix())) {
        return i;
      }
    }
    return from;
  }

  private void round(ModulePlan module, float globalScale, WeightEncoder encoder) {
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofShared()) {
      HostTensor original = plan.checkpoint().read(module.linear().weight(), arena);
      Tensor weight = scope.upload(original);
      WeightLayout layout = module.layout();
      QuantizedWeight result =
          layout.packed()
              ? Rtn.solvePacked(device, weight, module.weights(), globalScale, scope)
              : Rtn.solve(device, weight, module.weights(), globalScale, scope);
      encoder.encode(result, layout, original);
      device.synchronize();
    }
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
