package dev.quench.cuda;

import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;

/** Solver blocks on the CUDA device: a thread solves an output channel. */
final class CudaSolver {
  private static final int MIN_THREADS = 32;
  private static final int MAX_THREADS = 128;

  private final Kernels kernels;

  CudaSolver(Kernels kernels) {
    this.kernels = kernels;
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
    CudaMatrix weights = CudaMatrix.of(w).require(DType.F32);
    long block = weights.rows();
    long channels = weights.columns();
    CudaMatrix scales = CudaMatrix.of(scale).require(DType.F32);
    Arguments arguments =
        new Arguments()
            .matrix(weights)
            .ints(Math.toIntExact(block))
            .longs(channels)
            .matrix(CudaMatrix.of(u).require(DType.F32).require(block, block))
            .matrix(scales.require(scales.rows(), channels))
            .matrix(CudaMatrix.of(zeroPoint).require(DType.F32).require(scales.rows(), channels))
            .pointer(CudaMatrix.of(group).require(DType.I32).require(1, block).address())
            .floats(args.minCode(), args.maxCode())
            .ints(CudaQuantization.number(roundTo))
            .matrix(
                CudaMatrix.of(codes).require(args.codeFormat().dtype()).require(block, channels))
            .matrix(CudaMatrix.of(error).require(DType.F32).require(block, channels))
            .pointer(CudaMatrix.of(loss).require(DType.F32).require(1, channels).address());
    int threads = threads(channels);
    kernels.launch(
        switch (args.codeFormat()) {
          case INTEGER -> "quench_gptq_block_i8";
          case E4M3 -> "quench_gptq_block_e4m3";
          case E2M1 -> "quench_gptq_block_e2m1";
        },
        Grid.over(channels, threads, threads),
        arguments);
  }

  /** As many as keep every multiprocessor busy; more share the loads of the factor. */
  private int threads(long channels) {
    int threads = MAX_THREADS;
    while (threads > MIN_THREADS
        && channels < (long) threads * kernels.device().multiprocessors()) {
      threads /= 2;
    }
    return threads;
  }
}
