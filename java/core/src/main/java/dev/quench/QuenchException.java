package dev.quench;

/**
 * Base of all failures that Quench reports to its user. The message is one sentence that says what
 * is wrong, where (file, tensor, recipe line), and what would fix it.
 */
public class QuenchException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public QuenchException(String message) {
    super(message);
  }

  public QuenchException(String message, Throwable cause) {
    super(message, cause);
  }
}
