package dev.quench.cuda;

import dev.quench.device.DeviceException;

/** Something that the driver, a kernel or a CUDA library refused to do. */
public final class CudaException extends DeviceException {
  private static final long serialVersionUID = 1L;

  private final String reason;

  /**
   * @param reason a clause, without a period: it may become part of another sentence
   */
  public CudaException(String reason) {
    super(reason + ".");
    this.reason = reason;
  }

  public CudaException(String reason, Throwable cause) {
    super(reason + ".", cause);
    this.reason = reason;
  }

  /** The message without its period. */
  public String reason() {
    return reason;
  }
}
