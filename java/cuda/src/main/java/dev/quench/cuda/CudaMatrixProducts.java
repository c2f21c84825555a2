package dev.quench.cuda;

import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.OptionalLong;
import jcuda.Pointer;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasComputeType;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasOperation;

/** Matrix products and triangular factors on the CUDA device. */
final class CudaMatrixProducts {
  /** {@code CUDA_R_32F} of {@code cudaDataType}. */
  private static final int REAL_32 = 0;

  private final Cublas cublas;
  private final CudaSyrk syrk;
  private final CudaTriangular triangular;

  CudaMatrixProducts(Kernels kernels, CudaMemory memory, Cublas cublas) {
    this.cublas = cublas;
    this.syrk = new CudaSyrk(kernels, memory);
    this.triangular = new CudaTriangular(kernels, memory);
  }

  /**
   * By cuBLAS, whose matrices are stored by columns: it sees ours transposed, and multiplies {@code
   * cᵀ = op(b)ᵀ·op(a)ᵀ}.
   */
  void gemm(
      float alpha,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      float beta,
      Tensor c) {
    CudaMatrix result = CudaMatrix.of(c).require(DType.F32);
    long m = result.rows();
    long n = result.columns();
    CudaMatrix left = CudaMatrix.of(a).require(DType.F32);
    long k = transposeA ? left.rows() : left.columns();
    left.require(transposeA ? k : m, transposeA ? m : k);
    CudaMatrix right = CudaMatrix.of(b).require(DType.F32);
    right.require(transposeB ? n : k, transposeB ? k : n);
    if (m == 0 || n == 0) {
      return;
    }
    cublas.check(
        // cublasGemmEx, its older twin, fails without computing anything or saying so.
        JCublas2.cublasGemmEx_new(
            cublas.handle(left, right, result),
            operation(transposeB),
            operation(transposeA),
            Math.toIntExact(n),
            Math.toIntExact(m),
            Math.toIntExact(k),
            Pointer.to(new float[] {alpha}),
            CudaMemory.pointer(right.address()),
            REAL_32,
            leading(right),
            CudaMemory.pointer(left.address()),
            REAL_32,
            leading(left),
            Pointer.to(new float[] {beta}),
            CudaMemory.pointer(result.address()),
            REAL_32,
            leading(result),
            cublasComputeType.CUBLAS_COMPUTE_32F,
            cublasGemmAlgo.CUBLAS_GEMM_DEFAULT),
        () ->
            "cublasGemmEx of %s%s · %s%s into %s"
                .formatted(left, transposeA ? "ᵀ" : "", right, transposeB ? "ᵀ" : "", result));
  }

  private static int operation(boolean transposed) {
    return transposed ? cublasOperation.CUBLAS_OP_T : cublasOperation.CUBLAS_OP_N;
  }

  private static int leading(CudaMatrix matrix) {
    return Math.toIntExact(Math.max(1, matrix.stride()));
  }

  void syrk(Tensor x, Tensor h) {
    syrk.syrk(x, h);
  }

  OptionalLong reverseCholesky(Tensor h) {
    return triangular.reverseCholesky(h);
  }

  void invertUpper(Tensor r) {
    triangular.invertUpper(r);
  }
}
