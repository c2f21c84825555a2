package dev.quench.calibration;

import java.util.ArrayList;
import java.util.List;

/**
 * Token rows that go through a model together, one after the other, without padding.
 *
 * @param ids all tokens
 * @param positions of each token in its row, from 0
 * @param starts first token of each row, then the number of tokens
 */
public record Batch(int[] ids, int[] positions, long[] starts) {

  /**
   * Groups rows, in order, into batches of at most {@code maxTokens} tokens, but at least one row.
   */
  public static List<Batch> of(List<int[]> rows, int maxTokens) {
    List<Batch> batches = new ArrayList<>();
    List<int[]> group = new ArrayList<>();
    int tokens = 0;
    for (int[] row : rows) {
      if (!group.isEmpty() && tokens + row.length > maxTokens) {
        batches.add(join(group, tokens));
        group.clear();
        tokens = 0;
      }
      group.add(row);
      tokens += row.length;
    }
    if (!group.isEmpty()) {
      batches.add(join(group, tokens));
    }
    return List.copyOf(batches);
  }

  private static Batch join(List<int[]> rows, int tokens) {
    int[] ids = new int[tokens];
    int[] positions = new int[tokens];
    long[] starts = new long[rows.size() + 1];
    int at = 0;
    for (int r = 0; r < rows.size(); r++) {
      int[] row = rows.get(r);
      System.arraycopy(row, 0, ids, at, row.length);
      for (int i = 0; i < row.length; i++) {
        positions[at + i] = i;
      }
      at += row.length;
      starts[r + 1] = at;
    }
    return new Batch(ids, positions, starts);
  }
}
