package dev.quench;

/** The job was asked to stop, and did. */
public final class CancelledException extends QuenchException {
  private static final long serialVersionUID = 1L;

  public CancelledException() {
    super("the run was interrupted.");
  }
}
