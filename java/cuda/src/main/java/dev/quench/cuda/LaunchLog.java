package dev.quench.cuda;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.stream.Collectors;

/**
 * The kernels launched since the last time that the stream was waited for. A kernel's failure shows
 * in a later call, which can only say which kernels it may have been.
 */
final class LaunchLog {
  private static final int CAPACITY = 8;

  private record Launch(String kernel, Grid grid, Arguments arguments) {
    @Override
    public String toString() {
      return kernel + grid + arguments;
    }
  }

  private final Deque<Launch> recent = new ArrayDeque<>();

  synchronized void add(String kernel, Grid grid, Arguments arguments) {
    if (recent.size() == CAPACITY) {
      recent.removeFirst();
    }
    recent.addLast(new Launch(kernel, grid, arguments));
  }

  synchronized void clear() {
    recent.clear();
  }

  synchronized CudaException explain(CudaException failure) {
    String suspects =
        recent.isEmpty()
            ? "no kernel was under way"
            : "it happened in, or before, one of the kernels launched last: "
                + recent.reversed().stream().map(Launch::toString).collect(Collectors.joining("; "))
                + ". Run again with -D"
                + Kernels.SYNCHRONOUS
                + "=true to know which";
    return new CudaException(
        failure.reason() + "; " + suspects + ". The device can't be used any more", failure);
  }
}
