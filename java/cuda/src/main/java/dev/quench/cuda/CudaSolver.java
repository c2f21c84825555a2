package dev.quench.cuda;

import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;

/** Solver blocks on the CUDA device. */
final class CudaSolver {
  private final Kernels kernels;
  private final CudaMemory memory;

  CudaSolver(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
    this.memory = memory;
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
    throw new UnsupportedOperationException("gptqBlock");
  }
}
