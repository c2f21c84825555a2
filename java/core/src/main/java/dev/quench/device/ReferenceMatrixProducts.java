package dev.quench.device;

import dev.quench.tensor.DType;
import java.util.OptionalLong;

/**
 * Matrix products and factorizations by their formulas, in double precision, rounded once at the
 * end.
 */
final class ReferenceMatrixProducts {
  private ReferenceMatrixProducts() {}

  static void gemm(
      float alpha,
      HostMatrix a,
      boolean transposeA,
      HostMatrix b,
      boolean transposeB,
      float beta,
      HostMatrix c) {
    long m = c.rows();
    long n = c.columns();
    long k = transposeA ? a.rows() : a.columns();
    a.require(DType.F32).require(transposeA ? k : m, transposeA ? m : k);
    b.require(DType.F32).require(transposeB ? n : k, transposeB ? k : n);
    c.require(DType.F32);
    for (long i = 0; i < m; i++) {
      for (long j = 0; j < n; j++) {
        double sum = 0;
        for (long l = 0; l < k; l++) {
          double left = transposeA ? FloatAccess.get(a, l, i) : FloatAccess.get(a, i, l);
          double right = transposeB ? FloatAccess.get(b, j, l) : FloatAccess.get(b, l, j);
          sum += left * right;
        }
        double old = beta == 0 ? 0 : beta * (double) FloatAccess.get(c, i, j);
        FloatAccess.set(c, i, j, (float) (alpha * sum + old));
      }
    }
  }

  static void syrk(HostMatrix x, HostMatrix h) {
    if (x.dtype() != DType.BF16) {
      x.require(DType.F32);
    }
    h.require(DType.F32).require(x.columns(), x.columns());
    for (long i = 0; i < h.rows(); i++) {
      for (long j = 0; j <= i; j++) {
        double sum = FloatAccess.get(h, i, j);
        for (long token = 0; token < x.rows(); token++) {
          sum += (double) FloatAccess.get(x, token, i) * FloatAccess.get(x, token, j);
        }
        FloatAccess.set(h, i, j, (float) sum);
      }
    }
  }

  /**
   * {@code r[j, j] = √(h[j, j] − Σ r[j, k]²)} and {@code r[i, j] = (h[i, j] − Σ r[i, k] · r[j, k])
   * / r[j, j]} for i < j, sums over k > j, from the last column on.
   */
  static OptionalLong reverseCholesky(HostMatrix h) {
    double[][] r = readUpper(h);
    for (int j = r.length - 1; j >= 0; j--) {
      for (int i = j; i >= 0; i--) {
        double rest = r[i][j];
        for (int k = j + 1; k < r.length; k++) {
          rest -= r[i][k] * r[j][k];
        }
        if (i < j) {
          r[i][j] = rest / r[j][j];
        } else if (rest > 0 && rest < Double.POSITIVE_INFINITY) {
          r[j][j] = Math.sqrt(rest);
        } else {
          return OptionalLong.of(j);
        }
      }
    }
    writeUpper(r, h);
    return OptionalLong.empty();
  }

  /**
   * {@code u[j, j] = 1 / r[j, j]} and {@code u[i, j] = −Σ r[i, k] · u[k, j] / r[i, i]}, i < k ≤ j.
   */
  static void invertUpper(HostMatrix matrix) {
    double[][] r = readUpper(matrix);
    double[][] u = new double[r.length][r.length];
    for (int j = 0; j < r.length; j++) {
      u[j][j] = 1 / r[j][j];
      for (int i = j - 1; i >= 0; i--) {
        double sum = 0;
        for (int k = i + 1; k <= j; k++) {
          sum += r[i][k] * u[k][j];
        }
        u[i][j] = -sum / r[i][i];
      }
    }
    writeUpper(u, matrix);
    for (long i = 0; i < matrix.rows(); i++) {
      for (long j = 0; j < i; j++) {
        FloatAccess.set(matrix, i, j, 0);
      }
    }
  }

  private static double[][] readUpper(HostMatrix matrix) {
    int n = Math.toIntExact(matrix.rows());
    matrix.require(DType.F32).require(n, n);
    double[][] values = new double[n][n];
    for (int i = 0; i < n; i++) {
      for (int j = i; j < n; j++) {
        values[i][j] = FloatAccess.get(matrix, i, j);
      }
    }
    return values;
  }

  private static void writeUpper(double[][] values, HostMatrix matrix) {
    for (int i = 0; i < values.length; i++) {
      for (int j = i; j < values.length; j++) {
        FloatAccess.set(matrix, i, j, (float) values[i][j]);
      }
    }
  }
}
