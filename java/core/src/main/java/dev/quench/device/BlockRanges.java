package dev.quench.device;

import dev.quench.tensor.DType;
import java.util.Arrays;

/** Ranges of the blocks side by side in some rows, as keys of {@link Lanes#range}. */
final class BlockRanges {
  private static final int POSITIVE_INFINITY = 0x7F800000;
  private static final int NEGATIVE_INFINITY = ~POSITIVE_INFINITY;

  /** The bits of 2^64. */
  private static final int MODERATE = (127 + 64) << 23;

  private final int[] smallest;
  private final int[] largest;

  BlockRanges(long blocks) {
    smallest = new int[Math.toIntExact(blocks)];
    largest = new int[smallest.length];
  }

  void clear() {
    Arrays.fill(smallest, 0);
    Arrays.fill(largest, 0);
  }

  /** Takes a row in. */
  void add(HostMatrix x, long row, long blockColumns, RowWords piece) {
    for (long column = 0; column < x.columns(); column += RowWords.ELEMENTS) {
      int count = (int) Math.min(RowWords.ELEMENTS, x.columns() - column);
      piece.load(x, row, column, count);
      if (x.dtype() == DType.F16) {
        piece.widenFloat16(count);
      }
      int from = 0;
      while (from < count) {
        int block = (int) ((column + from) / blockColumns);
        int to = (int) Math.min(count, (block + 1) * blockColumns - column);
        add(
            block,
            x.dtype() == DType.BF16
                ? bfloat16(piece.words, from, to)
                : Lanes.range(piece.words, from, to));
        from = to;
      }
    }
  }

  /** Takes in what other rows of the same blocks gave. */
  void add(BlockRanges other) {
    for (int block = 0; block < smallest.length; block++) {
      smallest[block] = Math.min(smallest[block], other.smallest[block]);
      largest[block] = Math.max(largest[block], other.largest[block]);
    }
  }

  /** The range of a block, with 0; both NaN if there is a NaN. */
  Range range(int block) {
    if (largest[block] > POSITIVE_INFINITY || smallest[block] < NEGATIVE_INFINITY) {
      return new Range(Float.NaN, Float.NaN);
    }
    return new Range(value(smallest[block]), value(largest[block]));
  }

  /** True if all elements are numbers of a magnitude of at most 2^64. */
  boolean areModerate() {
    boolean moderate = true;
    for (int block = 0; block < smallest.length; block++) {
      moderate &= largest[block] <= MODERATE && smallest[block] >= ~MODERATE;
    }
    return moderate;
  }

  private void add(int block, long range) {
    smallest[block] = Math.min(smallest[block], (int) range);
    largest[block] = Math.max(largest[block], (int) (range >> 32));
  }

  /**
   * Elements from … to − 1, of which the first and the last may have to be cut from their words.
   */
  private static long bfloat16(int[] words, int from, int to) {
    int savedFirst = words[from >> 1];
    int last = (to - 1) >> 1;
    int savedLast = words[last];
    if ((from & 1) == 1) {
      words[from >> 1] &= 0xFFFF0000;
    }
    if ((to & 1) == 1) {
      words[last] &= 0xFFFF;
    }
    long range = Lanes.rangeBfloat16(words, from >> 1, last + 1);
    words[last] = savedLast;
    words[from >> 1] = savedFirst;
    return range;
  }

  private static float value(int key) {
    return Float.intBitsToFloat(key ^ ((key >> 31) >>> 1));
  }
}
