package dev.quench.device;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Runs the tasks of one operation on a fixed number of threads, the caller's among them. How an
 * operation is cut into tasks must not depend on {@link #threads}: then its result doesn't either.
 */
final class Workers implements AutoCloseable {
  /** One piece of an operation. */
  @FunctionalInterface
  interface Task {
    void run(long index);
  }

  private final int threads;
  private final ExecutorService pool;

  Workers(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads: " + threads);
    }
    this.threads = threads;
    this.pool =
        Executors.newFixedThreadPool(
            Math.max(1, threads - 1),
            Thread.ofPlatform().name("quench-worker-", 1).daemon(true).factory());
  }

  int threads() {
    return threads;
  }

  /**
   * Runs tasks 0 … count−1, each once, in no particular order, and waits for them. The first
   * failure is rethrown.
   */
  void run(long count, Task task) {
    if (count <= 1 || threads == 1) {
      for (long i = 0; i < count; i++) {
        task.run(i);
      }
      return;
    }
    AtomicLong next = new AtomicLong();
    AtomicReference<RuntimeException> failure = new AtomicReference<>();
    Runnable drain =
        () -> {
          for (long i = next.getAndIncrement(); i < count; i = next.getAndIncrement()) {
            try {
              task.run(i);
            } catch (RuntimeException e) {
              failure.compareAndSet(null, e);
              next.set(count);
            }
          }
        };
    int helpers = (int) Math.min(threads - 1, count - 1);
    CountDownLatch done = new CountDownLatch(helpers);
    for (int i = 0; i < helpers; i++) {
      pool.execute(
          () -> {
            try {
              drain.run();
            } finally {
              done.countDown();
            }
          });
    }
    drain.run();
    awaitUninterruptibly(done);
    RuntimeException first = failure.get();
    if (first != null) {
      throw first;
    }
  }

  private static void awaitUninterruptibly(CountDownLatch latch) {
    boolean interrupted = false;
    while (true) {
      try {
        latch.await();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    pool.shutdownNow();
  }
}
