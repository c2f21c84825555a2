package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/** A small upper triangular block, factored and inverted in double precision. Reusable. */
final class TriangularBlock {
  static final int MAX_SIZE = 64;

  private int size;
  private double[][] values = new double[MAX_SIZE][MAX_SIZE];
  private double[][] inverse = new double[MAX_SIZE][MAX_SIZE];

  /** Reads the upper triangle of the block on the diagonal that starts at {@code start}. */
  void load(HostMatrix matrix, long start, long blockSize) {
    size = Math.toIntExact(blockSize);
    for (int i = 0; i < size; i++) {
      long row = matrix.offset(start + i, start);
      for (int j = i; j < size; j++) {
        values[i][j] = matrix.memory().get(JAVA_FLOAT, row + (long) j * Float.BYTES);
      }
    }
  }

  /** Writes the upper triangle back. */
  void store(HostMatrix matrix, long start) {
    for (int i = 0; i < size; i++) {
      store(matrix.memory(), matrix.offset(start + i, start), i, i);
    }
  }

  /** Writes the block with zeros below the diagonal, into the upper left corner of a matrix. */
  void storeSquare(HostMatrix matrix) {
    for (int i = 0; i < size; i++) {
      matrix.memory().asSlice(matrix.offset(i, 0), (long) i * Float.BYTES).fill((byte) 0);
      store(matrix.memory(), matrix.offset(i, 0), i, i);
    }
  }

  private void store(MemorySegment target, long rowStart, int row, int fromColumn) {
    for (int j = fromColumn; j < size; j++) {
      target.set(JAVA_FLOAT, rowStart + (long) j * Float.BYTES, (float) values[row][j]);
    }
  }

  /**
   * {@code H = R · Rᵀ}, from the last column on: {@code r[j, j] = √(h[j, j] − Σ r[j, k]²)} and
   * {@code r[i, j] = (h[i, j] − Σ r[i, k] · r[j, k]) / r[j, j]}, sums over k > j.
   *
   * @return −1, or the first column whose pivot isn't positive and finite
   */
  int reverseCholesky() {
    for (int j = size - 1; j >= 0; j--) {
      double[] rowJ = values[j];
      double pivot = rowJ[j] - dot(rowJ, rowJ, j + 1);
      if (!(pivot > 0 && pivot < Double.POSITIVE_INFINITY)) {
        return j;
      }
      double root = Math.sqrt(pivot);
      for (int i = 0; i < j; i++) {
        values[i][j] = (values[i][j] - dot(values[i], rowJ, j + 1)) / root;
      }
      rowJ[j] = root;
    }
    return -1;
  }

  /** Four sums at a time, since a single one waits for each addition. */
  private double dot(double[] x, double[] y, int start) {
    double sum0 = 0;
    double sum1 = 0;
    double sum2 = 0;
    double sum3 = 0;
    int k = start;
    for (; k + 4 <= size; k += 4) {
      sum0 += x[k] * y[k];
      sum1 += x[k + 1] * y[k + 1];
      sum2 += x[k + 2] * y[k + 2];
      sum3 += x[k + 3] * y[k + 3];
    }
    for (; k < size; k++) {
      sum0 += x[k] * y[k];
    }
    return (sum0 + sum1) + (sum2 + sum3);
  }

  /** Replaces R by its inverse U: row i of {@code R·U = I} gives row i of U from those below. */
  void invert() {
    for (int i = size - 1; i >= 0; i--) {
      double[] row = inverse[i];
      for (int j = i + 1; j < size; j++) {
        row[j] = 0;
      }
      for (int k = i + 1; k < size; k++) {
        double factor = values[i][k];
        double[] below = inverse[k];
        for (int j = k; j < size; j++) {
          row[j] += factor * below[j];
        }
      }
      double diagonal = values[i][i];
      row[i] = 1 / diagonal;
      for (int j = i + 1; j < size; j++) {
        row[j] = -row[j] / diagonal;
      }
    }
    double[][] swapped = values;
    values = inverse;
    inverse = swapped;
  }
}
