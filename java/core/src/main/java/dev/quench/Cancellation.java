package dev.quench;

/** Lets another thread, such as a signal handler, ask a job to stop at the next good moment. */
public final class Cancellation {
  private volatile boolean requested;

  /** Asks the job to stop. */
  public void request() {
    requested = true;
  }

  public boolean requested() {
    return requested;
  }

  /**
   * @throws CancelledException if the job was asked to stop
   */
  public void throwIfRequested() {
    if (requested) {
      throw new CancelledException();
    }
  }
}
