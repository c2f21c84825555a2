package dev.quench.device;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;

/** GPTQ's inner loop on the CPU: a task is some output channels. */
final class CpuSolver {
  private final Workers workers;
  private final Spares<GptqChannels> scratch = new Spares<>(GptqChannels::new);

  CpuSolver(Workers workers) {
    this.workers = workers;
  }

  void gptqBlock(
      Tensor w,
      Tensor u,
      Tensor scale,
      Tensor zeroPoint,
      Tensor group,
      QuantizationArgs args,
      DType roundTo,
      Tensor codes,
      Tensor error,
      Tensor loss) {
    HostMatrix weights = HostMatrix.of(w).require(DType.F32);
    long block = weights.rows();
    long channels = weights.columns();
    HostMatrix scales = HostMatrix.of(scale);
    GptqChannels.Problem problem =
        new GptqChannels.Problem(
            weights,
            HostMatrix.of(u).require(DType.F32).require(block, block),
            scales.require(DType.F32).require(scales.rows(), channels),
            HostMatrix.of(zeroPoint).require(DType.F32).require(scales.rows(), channels),
            HostMatrix.of(group).require(DType.I32).require(1, block),
            args,
            roundTo,
            HostMatrix.of(codes).require(args.codeFormat().dtype()).require(block, channels),
            HostMatrix.of(error).require(DType.F32).require(block, channels),
            HostMatrix.of(loss).require(DType.F32).require(1, channels));
    workers.run(
        Math.ceilDiv(channels, GptqChannels.CHANNELS),
        task -> {
          long from = task * GptqChannels.CHANNELS;
          int count = (int) Math.min(GptqChannels.CHANNELS, channels - from);
          GptqChannels solver = scratch.take();
          solver.solve(problem, from, count);
          scratch.give(solver);
        });
  }
}
