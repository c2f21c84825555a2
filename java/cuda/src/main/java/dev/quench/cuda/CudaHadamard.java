package dev.quench.cuda;

import dev.quench.device.Tensor;

/** The Walsh-Hadamard transform on the CUDA device. */
final class CudaHadamard {
  private final Kernels kernels;

  CudaHadamard(Kernels kernels) {
    this.kernels = kernels;
  }

  void hadamard(Tensor x, long size) {
    throw new UnsupportedOperationException("hadamard");
  }
}
