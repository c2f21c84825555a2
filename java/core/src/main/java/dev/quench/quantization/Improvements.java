package dev.quench.quantization;

import java.util.BitSet;

/**
 * Which steps of a {@link RangeSearch} made which blocks better. With it blocks can be searched by
 * themselves, although when the search ends depends on all of them.
 */
public final class Improvements {
  private final RangeSearch search;
  private final int words;
  private final long[] bits;

  /**
   * @param blocks of the tensor
   */
  public Improvements(RangeSearch search, long blocks) {
    this.search = search;
    this.words = Math.ceilDiv(search.steps(), Long.SIZE);
    this.bits = new long[Math.toIntExact(Math.multiplyExact(blocks, words))];
  }

  /**
   * Takes in the errors of a block's steps. Blocks may come from several threads.
   *
   * @param worst the largest error that can be beaten
   */
  public void add(long block, float[] errors, float worst) {
    float best = worst;
    int first = Math.toIntExact(block * words);
    for (int step = 0; step < search.steps(); step++) {
      if (errors[step] < best) {
        best = errors[step];
        bits[first + step / Long.SIZE] |= 1L << step;
      }
    }
  }

  /** The step before which the search ends. */
  public int end() {
    long[] any = new long[words];
    for (int i = 0; i < bits.length; i++) {
      any[i % words] |= bits[i];
    }
    BitSet better = BitSet.valueOf(any);
    int idle = 0;
    for (int step = 0; step < search.steps(); step++) {
      idle = better.get(step) ? 0 : idle + 1;
      if (idle == search.patience()) {
        return step;
      }
    }
    return search.steps();
  }

  /** The best step of a block before {@code end}; 0 if none is. */
  public int best(long block, int end) {
    int first = Math.toIntExact(block * words);
    for (int step = end - 1; step > 0; step--) {
      if ((bits[first + step / Long.SIZE] >>> step & 1) == 1) {
        return step;
      }
    }
    return 0;
  }
}
