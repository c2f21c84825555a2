package dev.quench.device;

import dev.quench.quantization.CodeFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationParameters;
import dev.quench.quantization.RangeSearch;
import dev.quench.quantization.Rounding;
import java.util.Arrays;
import java.util.Optional;

/**
 * Errors of a row's blocks under all steps of a search. A piece of the row is rounded as a whole
 * with the scales that one step gives its blocks, then with those of the next.
 *
 * <p>An object is scratch memory of one task.
 */
final class SearchKernels {
  /** What {@link CpuSearch} is asked for. */
  record Problem(
      HostMatrix x,
      long blockRows,
      long blockColumns,
      QuantizationArgs candidate,
      RangeSearch search,
      HostMatrix min,
      HostMatrix max,
      Optional<float[]> importance,
      PowerTable powers) {
    long blocks() {
      return min.rows() * min.columns();
    }
  }

  /** Takes the sums of a row of a block, one a step; only valid during the call. */
  @FunctionalInterface
  interface Sums {
    void accept(long column, float[] sums);
  }

  /** Elements of a piece. */
  private static final int PIECE = RowWords.ELEMENTS / 2;

  private final Problem p;
  private final float[] decoded = new float[256];
  private final float[] original = new float[PIECE];
  private final Plane plane = new Plane();

  /** Partial sums of the row of a block that the last piece ended in, a step each. */
  private final float[][] carried;

  private final float[] partial = new float[RangeSearch.PARTIAL_SUMS];

  /** Sums of the blocks that end in a piece: [block, step]. */
  private final float[][] sums;

  private boolean shifted;
  private boolean usual;

  SearchKernels(Problem problem) {
    p = problem;
    int steps = problem.search.steps();
    carried = new float[steps][RangeSearch.PARTIAL_SUMS];
    int blocks = (int) Math.min(PIECE, Math.ceilDiv(PIECE, problem.blockColumns) + 1);
    sums = new float[blocks][steps];
    for (int code = 0; code < decoded.length; code++) {
      decoded[code] = problem.candidate.codeFormat().toFloat((byte) code);
    }
  }

  /** A sum rounded to the dtype of the elements, if errors aren't weighed. */
  float rounded(float sum) {
    return p.importance.isPresent() ? sum : Rounding.to(p.x.dtype(), sum);
  }

  /** Sums of the errors of a row, of each block that it crosses. */
  void row(long row, Sums result) {
    boolean moderate = true;
    for (long column = 0; column < p.x.columns(); column += PIECE) {
      int count = (int) Math.min(PIECE, p.x.columns() - column);
      for (int i = 0; i < count; i++) {
        original[i] = FloatAccess.get(p.x, row, column + i);
        moderate &= Math.abs(original[i]) <= 0x1p64f;
      }
      long first = column / p.blockColumns;
      long last = (column + count - 1) / p.blockColumns;
      for (int step = 0; step < p.search.steps(); step++) {
        round(row, column, count, step, moderate);
        for (long block = first; block <= last; block++) {
          add(block, column, count, step, (int) (block - first));
        }
      }
      for (long block = first; block <= last; block++) {
        if (end(block) <= column + count) {
          result.accept(block, sums[(int) (block - first)]);
        }
      }
    }
  }

  /** Leaves the bits of the differences of a piece from its rounded values. */
  private void round(long row, long column, int count, int step, boolean moderate) {
    fill(row / p.blockRows, column, count, step);
    System.arraycopy(original, 0, plane.values, 0, count);
    plane.toUnits(p.x.dtype(), moderate && usual, shifted, count);
    if (p.candidate.codeFormat() == CodeFormat.INTEGER) {
      Lanes.roundToIntegers(
          plane.values, p.candidate.minCode(), p.candidate.maxCode(), plane.values, count);
    } else {
      plane.toFloatCodes(p.candidate.codeFormat(), count);
      for (int i = 0; i < count; i++) {
        plane.values[i] = decoded[plane.codes[i] & 0xFF];
      }
    }
    plane.fromUnits(p.x.dtype(), shifted, count);
    Lanes.subtract(plane.values, original, count);
    if (p.importance.isEmpty()) {
      plane.round(p.x.dtype(), count);
    }
    plane.toBits(count);
  }

  private void fill(long gridRow, long column, int count, int step) {
    shifted = false;
    usual = true;
    for (long block = column / p.blockColumns; begin(block) < column + count; block++) {
      QuantizationParameters parameters =
          p.search.parameters(
              FloatAccess.get(p.min, gridRow, block),
              FloatAccess.get(p.max, gridRow, block),
              step,
              p.candidate,
              p.x.dtype());
      shifted |= parameters.zeroPoint() != 0;
      usual &= parameters.scale() >= 0x1p-40f && parameters.scale() < 2;
      plane.fill(
          (int) (Math.max(begin(block), column) - column),
          (int) (Math.min(end(block), column + count) - column),
          parameters.scale(),
          parameters.zeroPoint());
    }
  }

  /**
   * Adds what a block's part of a piece is off; the sum of a block that ends is put in its place.
   */
  private void add(long block, long column, int count, int step, int place) {
    float[] parts = partial;
    boolean begins = begin(block) >= column;
    boolean ends = end(block) <= column + count;
    if (!begins || !ends) {
      parts = carried[step];
    }
    if (begins) {
      Arrays.fill(parts, 0);
    }
    long from = Math.max(begin(block), column);
    long to = Math.min(end(block), column + count);
    int phase = (int) ((from - begin(block)) % RangeSearch.PARTIAL_SUMS);
    int first = (int) (from - column);
    int last = (int) (to - column);
    if (p.importance.isPresent()) {
      addWeighed(p.importance.get(), column, first, last, phase, parts);
    } else {
      p.powers.add(plane.bits, first, last, phase, parts);
    }
    if (ends) {
      sums[place][step] = RangeSearch.sum(parts);
    }
  }

  private void addWeighed(
      float[] importance, long column, int first, int last, int phase, float[] parts) {
    int whole = RangeSearch.PARTIAL_SUMS;
    int[] bits = plane.bits;
    int shift = (int) column;
    int i = first;
    if (p.search.norm() == 3 && phase == 0) {
      for (; i + whole <= last; i += whole) {
        for (int k = 0; k < whole; k++) {
          double d = Math.abs(Float.intBitsToFloat(bits[i + k]));
          parts[k] += importance[shift + i + k] * (float) (d * d * d);
        }
      }
    }
    for (; i < last; i++) {
      parts[(phase + i - first) % whole] +=
          importance[shift + i] * p.search.weighedPower(Float.intBitsToFloat(bits[i]));
    }
  }

  private long begin(long block) {
    return block * p.blockColumns;
  }

  private long end(long block) {
    return Math.min((block + 1) * p.blockColumns, p.x.columns());
  }
}
