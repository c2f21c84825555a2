package dev.quench.cuda.standin;

import java.util.OptionalInt;

/**
 * A deliberate fault in the translation, to see whether tests notice.
 *
 * @param removedBarrier which of {@link Translation#barriers} does nothing
 */
record Mutation(OptionalInt removedBarrier) {

  static Mutation none() {
    return new Mutation(OptionalInt.empty());
  }

  /** Leaves out the n-th barrier or wait of the text, from 0. */
  static Mutation removeBarrier(int n) {
    return new Mutation(OptionalInt.of(n));
  }
}
