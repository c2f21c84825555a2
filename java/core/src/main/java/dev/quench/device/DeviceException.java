package dev.quench.device;

import dev.quench.QuenchException;

/** A device that can't do what it was asked to: it has no memory left, or it failed. */
public class DeviceException extends QuenchException {
  private static final long serialVersionUID = 1L;

  public DeviceException(String message) {
    super(message);
  }

  public DeviceException(String message, Throwable cause) {
    super(message, cause);
  }

  /**
   * The same failure, saying what the device was asked for.
   *
   * @param work such as the name of a module
   */
  public DeviceException during(String work) {
    return new DeviceException(work + ": " + getMessage(), this);
  }
}
