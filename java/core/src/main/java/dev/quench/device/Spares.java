package dev.quench.device;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Supplier;

/**
 * Scratch memory that tasks hand on to each other: there is as much as tasks that ever ran at once.
 */
final class Spares<T> {
  private final Supplier<T> source;
  private final Deque<T> free = new ArrayDeque<>();

  Spares(Supplier<T> source) {
    this.source = source;
  }

  synchronized T take() {
    return free.isEmpty() ? source.get() : free.pop();
  }

  /** After a failure, what was taken may be left to the garbage collector. */
  synchronized void give(T spare) {
    free.push(spare);
  }
}
