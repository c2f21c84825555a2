package dev.quench.cli;

import dev.quench.InvalidInputException;
import picocli.CommandLine.Option;

/** How many threads a command may use. */
final class ThreadOptions {
  @Option(
      names = "--threads",
      description = "Worker threads (default: one per processor). Results don't depend on it.",
      paramLabel = "N")
  private int threads = Runtime.getRuntime().availableProcessors();

  /**
   * @throws InvalidInputException if it is too many or too few
   */
  int count() {
    if (threads < 1 || threads > 1024) {
      throw new InvalidInputException("--threads must be from 1 to 1024, not " + threads + ".");
    }
    return threads;
  }
}
