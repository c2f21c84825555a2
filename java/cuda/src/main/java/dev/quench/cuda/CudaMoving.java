package dev.quench.cuda;

import dev.quench.device.Tensor;

/** Casts, transpositions and gathers on the CUDA device. */
final class CudaMoving {
  private final Kernels kernels;
  private final CudaMemory memory;

  CudaMoving(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
    this.memory = memory;
  }

  void convert(Tensor source, Tensor target) {
    throw new UnsupportedOperationException("convert");
  }

  void transpose(Tensor source, Tensor target) {
    throw new UnsupportedOperationException("transpose");
  }

  void gatherRows(Tensor source, Tensor index, Tensor target) {
    throw new UnsupportedOperationException("gatherRows");
  }

  void gatherSymmetric(Tensor lower, Tensor index, Tensor target) {
    throw new UnsupportedOperationException("gatherSymmetric");
  }

  void diagonal(Tensor matrix, Tensor values) {
    throw new UnsupportedOperationException("diagonal");
  }

  void setDiagonal(Tensor values, Tensor matrix) {
    throw new UnsupportedOperationException("setDiagonal");
  }
}
