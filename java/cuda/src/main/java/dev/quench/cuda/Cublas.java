package dev.quench.cuda;

import java.util.function.Supplier;
import jcuda.jcublas.JCublas2;
import jcuda.jcublas.cublasHandle;
import jcuda.jcublas.cublasStatus;
import jcuda.runtime.cudaStream_t;
import org.jspecify.annotations.Nullable;

/**
 * The handle of cuBLAS on the computing stream. The library is large, so it is loaded when a
 * product is first asked for.
 */
final class Cublas implements AutoCloseable {
  private final CudaContext context;
  private final Uploads uploads;
  private @Nullable cublasHandle handle;

  Cublas(CudaContext context, Uploads uploads) {
    this.context = context;
    this.uploads = uploads;
  }

  /**
   * The handle, for one call in the calling thread; scalars are on the host.
   *
   * @param operands what the call reads and writes
   * @throws CudaException if the library can't be loaded
   */
  cublasHandle handle(CudaMatrix... operands) {
    context.enter();
    for (CudaMatrix operand : operands) {
      uploads.await(operand.address());
    }
    if (handle == null) {
      handle = create();
    }
    return handle;
  }

  private cublasHandle create() {
    cublasHandle created = new cublasHandle();
    try {
      check(JCublas2.cublasCreate(created), () -> "cublasCreate");
    } catch (LinkageError e) {
      throw new CudaException(
          "cuBLAS can't be loaded; libcublas.so.12 of a CUDA 12 toolkit has to be on the library path: "
              + e.getMessage(),
          e);
    }
    check(
        JCublas2.cublasSetStream(created, new cudaStream_t(context.compute())),
        () -> "cublasSetStream");
    return created;
  }

  /**
   * @param what the call with its operands
   */
  void check(int status, Supplier<String> what) {
    if (status != cublasStatus.CUBLAS_STATUS_SUCCESS) {
      throw new CudaException(what.get() + " failed: " + cublasStatus.stringFor(status));
    }
  }

  @Override
  public void close() {
    if (handle != null) {
      context.enter();
      JCublas2.cublasDestroy(handle);
      handle = null;
    }
  }
}
