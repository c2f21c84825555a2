package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.QuenchException;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.checkpoint.TensorInfo;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Tasks of one tensor each, on some threads. Closing waits for those that run; those that haven't
 * begun do nothing then.
 */
final class TensorTasks implements AutoCloseable {
  private final ExecutorService threads;
  private final Cancellation cancellation;
  private final String what;
  private volatile boolean closing;

  /**
   * @param what the tasks do, for messages, such as "a weight's compression"
   */
  TensorTasks(int count, Cancellation cancellation, String what) {
    this.threads =
        Executors.newFixedThreadPool(
            count, Thread.ofPlatform().name("quench-tensor-", 1).factory());
    this.cancellation = cancellation;
    this.what = what;
  }

  <T> Future<T> submit(Callable<T> task) {
    return threads.submit(
        () -> {
          if (closing) {
            throw new QuenchException("another tensor failed");
          }
          cancellation.throwIfRequested();
          return task.call();
        });
  }

  /** A task for each tensor that is copied as it is. */
  List<Future<TensorInfo>> copies(Collection<TensorInfo> tensors, CheckpointWriter writer) {
    return tensors.stream()
        .map(
            tensor ->
                submit(
                    () -> {
                      writer.copy(tensor);
                      return tensor;
                    }))
        .toList();
  }

  /** The result of a task; throws what the task threw. */
  <T> T await(Future<T> future) {
    try {
      return future.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new QuenchException(what + " failed: " + e.getCause(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new QuenchException("interrupted", e);
    }
  }

  @Override
  public void close() {
    closing = true;
    threads.close();
  }
}
