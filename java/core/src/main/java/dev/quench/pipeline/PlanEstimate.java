package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.calibration.Batch;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.model.Architecture;
import dev.quench.model.LinearSpec;
import dev.quench.recipe.GptqSpec;
import dev.quench.tensor.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;

/**
 * What a compression takes, known before it starts.
 *
 * @param tokens of calibration
 * @param flops of the forward pass, the Hessians and the solver
 * @param memoryBytes that are resident at the peak, without the Java heap
 * @param deviceBytes of the device's own memory, at the least; 0 if it works in the host's
 * @param spillBytes of a temporary file for activations, if they don't fit in memory
 * @param seconds at the rate that this machine multiplies matrices with; a rough figure
 */
public record PlanEstimate(
    long inputBytes,
    long outputBytes,
    long tokens,
    double flops,
    long memoryBytes,
    long deviceBytes,
    long spillBytes,
    double seconds) {
  /**
   * Of bf16 weights that are read, rounded and written, on one thread; measured on 2020s server
   * processors.
   */
  private static final double ROUNDING_BYTES_PER_SECOND = 1e9;

  /** Share of the matrix-product rate that a whole calibration reaches. */
  private static final double EFFICIENCY = 0.75;

  public static PlanEstimate of(CompressionPlan plan, CompressRequest request, Device device) {
    long inputBytes =
        plan.checkpoint().tensors().values().stream().mapToLong(TensorInfo::bytes).sum();
    long outputBytes = plan.layout().totalBytes();
    List<Batch> batches = request.batches();
    if (!plan.needsCalibration() || batches.isEmpty()) {
      long largest =
          plan.checkpoint().tensors().values().stream()
              .mapToLong(TensorInfo::bytes)
              .max()
              .orElse(0);
      return new PlanEstimate(
          inputBytes,
          outputBytes,
          0,
          0,
          2 * largest,
          device.memoryLimit().isPresent() ? 3 * largest : 0,
          0,
          (inputBytes + outputBytes) / ROUNDING_BYTES_PER_SECOND);
    }
    Architecture architecture = plan.architecture();
    long tokens = ActivationStore.tokens(batches);
    ActivationStore.Side side = request.propagation().side();
    boolean ownMemory = device.memoryLimit().isPresent();
    long working = working(plan, batches, device);
    long room = WorkingMemory.roomForActivations(device, working);
    long activations = ActivationStore.bytesOnHost(architecture, batches, side, room);
    boolean spilled = activations > request.resources().activationMemory();
    double flops = flops(plan, request, batches);
    // The rate is measured on the device, which must have the room for it.
    boolean fits = !ownMemory || working <= device.memoryLimit().getAsLong();
    double seconds = fits ? flops / (EFFICIENCY * rate(device)) : 0;
    return new PlanEstimate(
        inputBytes,
        outputBytes,
        tokens,
        flops,
        (ownMemory ? 0 : working) + (spilled ? 0 : activations),
        ownMemory ? working : 0,
        spilled ? activations : 0,
        seconds);
  }

  /** Of the layers, and of the output projection if it is compressed. */
  static long working(CompressionPlan plan, List<Batch> batches, Device device) {
    boolean ownMemory = device.memoryLimit().isPresent();
    Architecture architecture = plan.architecture();
    long longest = batches.stream().mapToLong(batch -> batch.ids().length).max().orElse(0);
    long layer = WorkingMemory.ofLayer(architecture, longest, ownMemory);
    boolean head = plan.modules().containsKey(architecture.head().name());
    return head ? Math.max(layer, WorkingMemory.ofHead(architecture)) : layer;
  }

  private static double flops(CompressionPlan plan, CompressRequest request, List<Batch> batches) {
    Architecture architecture = plan.architecture();
    double tokens = ActivationStore.tokens(batches);
    double attention = 0;
    for (Batch batch : batches) {
      for (int row = 0; row + 1 < batch.starts().length; row++) {
        double length = batch.starts()[row + 1] - batch.starts()[row];
        attention += 2 * length * length;
      }
    }
    attention *= (double) architecture.attention().heads() * architecture.attention().headDim();
    double forward = 0;
    double hessians = 0;
    double solver = 0;
    for (int i = 0; i < architecture.layers(); i++) {
      for (var step : architecture.layer(i).stepLinears()) {
        double in = step.getFirst().inFeatures();
        boolean gptq = false;
        for (LinearSpec linear : step) {
          double out = linear.outFeatures();
          forward += 2 * tokens * out * in;
          ModulePlan module = plan.modules().get(linear.name());
          if (module != null && module.modifier() instanceof GptqSpec) {
            gptq = true;
            solver += out * in * in;
          }
        }
        hessians += gptq ? tokens * in * in : 0;
      }
    }
    int passes = request.propagation() == Propagation.LAYER ? 2 : 1;
    return passes * (forward + attention * architecture.layers()) + hessians + solver;
  }

  /** Floating point operations a second of a matrix product of a typical size. */
  private static double rate(Device device) {
    if (device.memoryLimit().isEmpty()) {
      return rate(device, 768);
    }
    // Small products don't fill a large device; what a slow one would take seconds for, or what
    // doesn't fit, isn't tried.
    double rate = 0;
    double seconds = 0;
    long room = device.memoryLimit().getAsLong() / 2;
    for (int n = 64; n <= 8192 && seconds < 0.01 && 3L * n * n * Float.BYTES <= room; n *= 2) {
      double measured = rate(device, n);
      rate = Math.max(rate, measured);
      seconds = 2.0 * n * n * n / measured;
    }
    return rate;
  }

  private static double rate(Device device, int n) {
    try (Scope scope = device.openScope()) {
      Tensor a = scope.zeros(DType.F32, n, n);
      Tensor b = scope.zeros(DType.F32, n, n);
      Tensor c = scope.zeros(DType.F32, n, n);
      device.synchronize();
      double best = Double.MAX_VALUE;
      for (int i = 0; i < 4; i++) {
        long start = System.nanoTime();
        device.gemm(1, a, false, b, true, 0, c);
        device.synchronize();
        best = Math.min(best, (System.nanoTime() - start) / 1e9);
      }
      return 2.0 * n * n * n / best;
    }
  }

  /**
   * Refuses what can't fit.
   *
   * @param deviceMemory what the device may take of its own memory
   * @throws InvalidInputException if the disk or a memory is too small; the message says by how
   *     much
   */
  public void requireRoom(Path output, long machineMemory, OptionalLong deviceMemory) {
    try {
      Path existing = output.toAbsolutePath();
      while (!Files.exists(existing) && existing.getParent() != null) {
        existing = existing.getParent();
      }
      long usable = Files.getFileStore(existing).getUsableSpace();
      if (usable < outputBytes + spillBytes) {
        throw new InvalidInputException(
            "%s needs %,d bytes of disk, and %,d are free there."
                .formatted(output, outputBytes + spillBytes, usable));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (memoryBytes > machineMemory) {
      throw new InvalidInputException(
          "this needs about %,d bytes of memory, and the machine has %,d; use fewer samples, smaller --batch-tokens, or a smaller --activation-memory."
              .formatted(memoryBytes, machineMemory));
    }
    if (deviceMemory.isPresent() && deviceBytes > deviceMemory.getAsLong()) {
      throw new InvalidInputException(
          "this needs about %,d bytes of GPU memory, and %,d may be used; use smaller --batch-tokens, a larger --gpu-memory, or --device cpu."
              .formatted(deviceBytes, deviceMemory.getAsLong()));
    }
  }

  /** A summary for a line of progress. */
  public String oneLine() {
    return tokens == 0
        ? String.format(
            Locale.ROOT, "%.1f MB to read, %.1f MB to write", inputBytes / 1e6, outputBytes / 1e6)
        : String.format(
            Locale.ROOT,
            "%,d tokens, %.3g TFLOP, about %.0f MB of memory, about %.0f s",
            tokens,
            flops / 1e12,
            memoryBytes / 1e6,
            seconds);
  }
}
