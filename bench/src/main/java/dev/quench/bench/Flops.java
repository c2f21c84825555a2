package dev.quench.bench;

import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** Counts arithmetic, so that JMH reports its rate: {@code gigaflop} per second. */
@State(Scope.Thread)
@AuxCounters(AuxCounters.Type.OPERATIONS)
public class Flops {
  /** 10⁹ floating-point operations so far in this iteration. */
  public double gigaflop;

  /** Starts an iteration. */
  @Setup(Level.Iteration)
  public void reset() {
    gigaflop = 0;
  }
}
