package dev.quench.checkpoint;

import dev.quench.QuenchException;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;

/**
 * Sends what is written to the disk while more is being made: else all of it would be waited for at
 * the end. Thread-safe.
 */
final class WriteBehind {
  /** Bytes that are written in between: some tenths of a second of a fast disk. */
  private static final long INTERVAL = 256L << 20;

  private final Runnable force;
  private long waiting;
  private Optional<Future<?>> running = Optional.empty();

  /**
   * @param force brings everything written so far to the disk
   */
  WriteBehind(Runnable force) {
    this.force = force;
  }

  /** More was written. */
  synchronized void wrote(long bytes) {
    waiting += bytes;
    if (waiting >= INTERVAL && running.map(Future::isDone).orElse(true)) {
      await();
      waiting = 0;
      FutureTask<?> task = new FutureTask<>(force, null);
      Thread.ofPlatform().name("quench-write-behind").daemon(true).start(task);
      running = Optional.of(task);
    }
  }

  /**
   * Waits for what is under way.
   *
   * @throws QuenchException if the disk didn't take it: the system tells only once
   */
  synchronized void await() {
    if (running.isEmpty()) {
      return;
    }
    try {
      running.get().get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new QuenchException("writing failed: " + e.getCause(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new QuenchException("interrupted", e);
    } finally {
      running = Optional.empty();
    }
  }
}
