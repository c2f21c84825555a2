package dev.quench.cli;

import dev.quench.Cancellation;
import sun.misc.Signal;

/**
 * Turns Ctrl-C and SIGTERM into a request to stop, so that a job leaves nothing half-written. A
 * second one ends at once.
 */
final class StopOnSignal {
  private StopOnSignal() {}

  static Cancellation install() {
    Cancellation cancellation = new Cancellation();
    for (String name : new String[] {"INT", "TERM"}) {
      Signal.handle(
          new Signal(name),
          signal -> {
            if (cancellation.requested()) {
              Runtime.getRuntime().halt(Main.FAILED);
            }
            // First of all: printing may block, if nobody reads it.
            cancellation.request();
            System.err.println(
                "\nquench: stopping after the current step; once more to stop at once.");
          });
    }
    return cancellation;
  }
}
