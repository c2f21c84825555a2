package dev.quench.cuda;

import dev.quench.QuenchException;

/** Something that the driver, a kernel or a CUDA library refused to do. */
public final class CudaException extends QuenchException {
  private static final long serialVersionUID = 1L;

  public CudaException(String message) {
    super(message);
  }

  public CudaException(String message, Throwable cause) {
    super(message, cause);
  }
}
