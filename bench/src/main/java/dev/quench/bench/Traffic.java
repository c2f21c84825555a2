package dev.quench.bench;

import dev.quench.device.Tensor;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** Counts bytes read and written, so that JMH reports their rate: {@code gigabyte} per second. */
@State(Scope.Thread)
@AuxCounters(AuxCounters.Type.OPERATIONS)
public class Traffic {
  /** 10⁹ bytes so far in this iteration. */
  public double gigabyte;

  /** Starts an iteration. */
  @Setup(Level.Iteration)
  public void reset() {
    gigabyte = 0;
  }

  /** Each tensor crosses the memory bus once; name it twice if it is read and written. */
  void count(Tensor... tensors) {
    for (Tensor tensor : tensors) {
      gigabyte += 1e-9 * tensor.dtype().bytes(tensor.rows() * tensor.columns());
    }
  }
}
