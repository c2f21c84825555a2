package dev.quench;

/** The input (checkpoint, recipe, calibration data, option) can't be used: exit code 2. */
public final class InvalidInputException extends QuenchException {
  private static final long serialVersionUID = 1L;

  public InvalidInputException(String message) {
    super(message);
  }

  public InvalidInputException(String message, Throwable cause) {
    super(message, cause);
  }
}
