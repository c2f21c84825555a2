package dev.quench.cuda;

import dev.quench.device.AttentionSpec;
import dev.quench.device.Tensor;

/** Attention on the CUDA device. */
final class CudaAttention {
  private final Kernels kernels;
  private final CudaMemory memory;

  CudaAttention(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
    this.memory = memory;
  }

  void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    throw new UnsupportedOperationException("attention");
  }
}
