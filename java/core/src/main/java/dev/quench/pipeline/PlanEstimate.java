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

/**
 * What a compression takes, known before it starts.
 *
 * @param tokens of calibration
 * @param flops of the forward pass, the Hessians and the solver
 * @param memoryBytes that are resident at the peak, without the Java heap
 * @param spillBytes of a temporary file for activations, if they don't fit in memory
 * @param seconds at the rate that this machine multiplies matrices with; a rough figure
 */
public record PlanEstimate(
    long inputBytes,
    long outputBytes,
    long tokens,
    double flops,
    long memoryBytes,
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
          0,
          (inputBytes + outputBytes) / ROUNDING_BYTES_PER_SECOND);
    }
    Architecture architecture = plan.architecture();
    long tokens = ActivationStore.tokens(batches);
    ActivationStore.Side side =
        request.propagation() == Propagation.STEP
            ? ActivationStore.Side.KEPT
            : ActivationStore.Side.TRANSIENT;
    long activations = ActivationStore.bytes(architecture, tokens, side);
    boolean spilled = activations > request.resources().activationMemory();
    double flops = flops(plan, request, batches);
    return new PlanEstimate(
        inputBytes,
        outputBytes,
        tokens,
        flops,
        working(architecture, request.batchTokens()) + (spilled ? 0 : activations),
        spilled ? activations : 0,
        flops / (EFFICIENCY * rate(device)));
  }

  /**
   * One layer as F32 and as it is stored, its largest Hessian with its factor, and a batch's
   * intermediate tensors.
   */
  private static long working(Architecture architecture, int batchTokens) {
    long layer = 0;
    long widest = 0;
    long largest = 0;
    for (LinearSpec linear : architecture.layer(0).linears()) {
      layer += linear.outFeatures() * linear.inFeatures();
      widest = Math.max(widest, linear.inFeatures());
      largest = Math.max(largest, linear.outFeatures() * linear.inFeatures());
    }
    long hessians = 2 * widest * widest * Float.BYTES;
    long solver = 4 * largest * Float.BYTES;
    long batch =
        (long) batchTokens
            * (2L * architecture.hiddenSize() + 2L * architecture.intermediateSize())
            * Float.BYTES;
    return layer * Float.BYTES + hessians + solver + batch;
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
    int n = 768;
    try (Scope scope = device.openScope()) {
      Tensor a = scope.zeros(DType.F32, n, n);
      Tensor b = scope.zeros(DType.F32, n, n);
      Tensor c = scope.zeros(DType.F32, n, n);
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
   * @throws InvalidInputException if the disk or the memory is too small; the message says by how
   *     much
   */
  public void requireRoom(Path output, long machineMemory) {
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
