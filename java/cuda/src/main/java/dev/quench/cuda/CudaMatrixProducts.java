package dev.quench.cuda;

import dev.quench.device.Tensor;
import java.util.OptionalLong;

/** Matrix products and triangular factors on the CUDA device. */
final class CudaMatrixProducts {
  private final Kernels kernels;
  private final CudaMemory memory;
  private final Cublas cublas;

  CudaMatrixProducts(Kernels kernels, CudaMemory memory, Cublas cublas) {
    this.kernels = kernels;
    this.memory = memory;
    this.cublas = cublas;
  }

  void gemm(
      float alpha,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      float beta,
      Tensor c) {
    throw new UnsupportedOperationException("gemm");
  }

  void syrk(Tensor x, Tensor h) {
    throw new UnsupportedOperationException("syrk");
  }

  OptionalLong reverseCholesky(Tensor h) {
    throw new UnsupportedOperationException("reverseCholesky");
  }

  void invertUpper(Tensor r) {
    throw new UnsupportedOperationException("invertUpper");
  }
}
