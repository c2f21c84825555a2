package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.quench.tensor.DType;
import java.util.SplittableRandom;

/** Matrices of tests, and what they should be by sums in double precision. */
final class Matrices {
  private Matrices() {}

  /** Uniform in [−1, 1), a view whose rows are {@code padding} elements longer than it needs. */
  static HostMatrix random(Scope scope, long rows, long columns, long padding, long seed) {
    HostMatrix whole = HostMatrix.of(scope.allocate(DType.F32, rows, columns + padding));
    SplittableRandom random = new SplittableRandom(seed);
    for (long i = 0; i < rows * (columns + padding); i++) {
      whole.memory().setAtIndex(JAVA_FLOAT, i, random.nextFloat(-1, 1));
    }
    return whole.slice(0, rows, 0, columns);
  }

  static void fill(HostMatrix matrix, float value) {
    for (long i = 0; i < matrix.rows(); i++) {
      for (long j = 0; j < matrix.columns(); j++) {
        matrix.memory().set(JAVA_FLOAT, matrix.offset(i, j), value);
      }
    }
  }

  static void set(HostMatrix matrix, long row, long column, float value) {
    matrix.memory().set(JAVA_FLOAT, matrix.offset(row, column), value);
  }

  static double[][] doubles(HostMatrix matrix) {
    double[][] values = new double[(int) matrix.rows()][(int) matrix.columns()];
    for (int i = 0; i < values.length; i++) {
      for (int j = 0; j < values[i].length; j++) {
        values[i][j] = matrix.memory().get(JAVA_FLOAT, matrix.offset(i, j));
      }
    }
    return values;
  }

  static double[][] transpose(double[][] x) {
    double[][] result = new double[x[0].length][x.length];
    for (int i = 0; i < x.length; i++) {
      for (int j = 0; j < x[i].length; j++) {
        result[j][i] = x[i][j];
      }
    }
    return result;
  }

  static double[][] product(double[][] a, double[][] b) {
    double[][] c = new double[a.length][b[0].length];
    for (int i = 0; i < a.length; i++) {
      for (int k = 0; k < b.length; k++) {
        double factor = a[i][k];
        for (int j = 0; j < b[k].length; j++) {
          c[i][j] += factor * b[k][j];
        }
      }
    }
    return c;
  }

  static double[][] absolute(double[][] x) {
    double[][] result = new double[x.length][];
    for (int i = 0; i < x.length; i++) {
      result[i] = new double[x[i].length];
      for (int j = 0; j < x[i].length; j++) {
        result[i][j] = Math.abs(x[i][j]);
      }
    }
    return result;
  }

  static double[][] upper(double[][] x) {
    double[][] result = new double[x.length][x.length];
    for (int i = 0; i < x.length; i++) {
      System.arraycopy(x[i], i, result[i], i, x.length - i);
    }
    return result;
  }

  /** The bound on the relative error of n roundings (Higham 2002, 3.1), in single precision. */
  static double gamma(long n) {
    double unit = 0x1p-24 * n;
    return unit / (1 - unit);
  }
}
