package dev.quench.device;

import static dev.quench.device.Matrices.absolute;
import static dev.quench.device.Matrices.doubles;
import static dev.quench.device.Matrices.gamma;
import static dev.quench.device.Matrices.product;
import static dev.quench.device.Matrices.transpose;
import static dev.quench.device.Matrices.upper;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sizes around the block sizes 64, 96 and 256 of {@link CpuTriangular}. */
final class CpuTriangularTest {
  private static CpuDevice device;

  @BeforeAll
  static void open() {
    device = new CpuDevice(2);
  }

  @AfterAll
  static void close() {
    device.close();
  }

  /** A random Gram matrix plus its mean eigenvalue; below the diagonal NaN, which nobody reads. */
  private static HostMatrix positiveDefinite(Scope scope, int n) {
    HostMatrix x = Matrices.random(scope, 2L * n, n, 0, n);
    HostMatrix h = Matrices.random(scope, n, n, 5, 1);
    device.gemm(1, x, true, x, false, 0, h);
    double[][] sums = doubles(h);
    for (int i = 0; i < n; i++) {
      Matrices.set(h, i, i, (float) sums[i][i] + n / 3f);
      for (int j = 0; j < i; j++) {
        Matrices.set(h, i, j, Float.NaN);
      }
    }
    return h;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5, 63, 64, 65, 96, 97, 130, 255, 256, 257, 321, 353, 500})
  void factorTimesItsTransposeIsTheMatrix(int n) {
    try (Scope scope = device.openScope()) {
      HostMatrix h = positiveDefinite(scope, n);
      double[][] before = doubles(h);

      assertThat(device.reverseCholesky(h)).isEmpty();

      double[][] after = doubles(h);
      double[][] r = upper(after);
      double[][] product = product(r, transpose(r));
      double[][] magnitudes = product(absolute(r), transpose(absolute(r)));
      // |H − R·Rᵀ| ≤ γ(n+1) |R||Rᵀ| by Higham 2002, theorem 10.3. A panel X is computed with the
      // explicit inverse of its diagonal block D: |ΔX| ≤ γ(65) |X||Dᵀ||D⁻ᵀ|, and so |ΔX·Dᵀ| adds
      // in each row's sum at most κ times that, κ the largest row sum of |D⁻ᵀ||Dᵀ|.
      double factor = gamma(n + 3) * (1 + 2 * conditionOfBlocks(r, 64));
      for (int i = 0; i < n; i++) {
        double residual = 0;
        double bound = 0;
        for (int j = i; j < n; j++) {
          residual += Math.abs(before[i][j] - product[i][j]);
          bound += factor * magnitudes[i][j];
        }
        assertThat(residual).as("row %d", i).isLessThanOrEqualTo(bound);
        for (int j = 0; j < i; j++) {
          assertThat(after[i][j]).as("below the diagonal").isNaN();
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5, 63, 64, 65, 96, 97, 130, 255, 256, 257, 321, 353, 500})
  void inverseTimesTheMatrixIsTheIdentity(int n) {
    try (Scope scope = device.openScope()) {
      HostMatrix matrix = positiveDefinite(scope, n);
      assertThat(device.reverseCholesky(matrix)).isEmpty();
      double[][] r = upper(doubles(matrix));

      device.invertUpper(matrix);

      double[][] u = doubles(matrix);
      double[][] product = product(u, r);
      double[][] magnitudes = product(absolute(u), absolute(r));
      // With D the diagonal block and E its inverse, (U·R) in its columns is U₀·R₀·(I − E·D) and
      // the errors of two products, each at most γ(n) |U₀||R₀||E||D|: in each row's sum, 3 γ(n) κ
      // times that of |U||R|, κ the largest row sum of |E||D|. E comes about in the same way.
      double condition = conditionOfBlocks(transpose(r), 256);
      double factor = 3 * gamma(n + 3) * (1 + condition) * (1 + condition);
      for (int i = 0; i < n; i++) {
        double residual = 0;
        for (int j = 0; j < n; j++) {
          residual += Math.abs(product[i][j] - (i == j ? 1 : 0));
          if (j < i) {
            assertThat(u[i][j]).as("below the diagonal").isEqualTo(0);
          }
        }
        assertThat(residual)
            .as("row %d", i)
            .isLessThanOrEqualTo(factor * Arrays.stream(magnitudes[i]).sum());
      }
    }
  }

  /**
   * The largest row sum of {@code |D⁻ᵀ||Dᵀ|} over the diagonal blocks of an upper triangular
   * matrix; of a lower triangular one, of {@code |D⁻ᵀ||Dᵀ|} too. Blocks of both directions are
   * covered.
   */
  private static double conditionOfBlocks(double[][] r, int blockSize) {
    double largest = 0;
    int n = r.length;
    for (int offset : new int[] {0, n % blockSize}) {
      for (int start = offset == 0 ? 0 : offset - blockSize; start < n; start += blockSize) {
        int from = Math.max(0, start);
        int to = Math.min(n, start + blockSize);
        double[][] block = new double[to - from][];
        for (int i = from; i < to; i++) {
          block[i - from] = Arrays.copyOfRange(r[i], from, to);
        }
        double[][] transposed = transpose(block);
        for (double[] row : product(absolute(inverse(transposed)), absolute(transposed))) {
          largest = Math.max(largest, Arrays.stream(row).sum());
        }
      }
    }
    return largest;
  }

  /** Gauss-Jordan without pivoting, which a triangular matrix doesn't need. */
  private static double[][] inverse(double[][] matrix) {
    int n = matrix.length;
    double[][] left = Arrays.stream(matrix).map(double[]::clone).toArray(double[][]::new);
    double[][] right = new double[n][n];
    for (int i = 0; i < n; i++) {
      right[i][i] = 1;
    }
    for (int pivot = 0; pivot < n; pivot++) {
      double diagonal = left[pivot][pivot];
      for (int j = 0; j < n; j++) {
        left[pivot][j] /= diagonal;
        right[pivot][j] /= diagonal;
      }
      for (int i = 0; i < n; i++) {
        double factor = i == pivot ? 0 : left[i][pivot];
        if (factor != 0) {
          for (int j = 0; j < n; j++) {
            left[i][j] -= factor * left[pivot][j];
            right[i][j] -= factor * right[pivot][j];
          }
        }
      }
    }
    return right;
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 3, 64, 150, 299})
  void namesTheColumnWhosePivotIsNotPositive(int column) {
    try (Scope scope = device.openScope()) {
      for (float value : new float[] {-1, 0, Float.NaN, Float.POSITIVE_INFINITY}) {
        HostMatrix h = positiveDefinite(scope, 300);
        Matrices.set(h, column, column, value);
        assertThat(device.reverseCholesky(h)).as("%s", value).hasValue(column);
      }
    }
  }

  @Test
  void factorOfOneElementIsItsRoot() {
    try (Scope scope = device.openScope()) {
      HostMatrix h = HostMatrix.of(scope.floats(9));
      assertThat(device.reverseCholesky(h)).isEmpty();
      assertThat(doubles(h)[0][0]).isEqualTo(3);
      device.invertUpper(h);
      assertThat(doubles(h)[0][0]).isEqualTo(1f / 3f);
    }
  }
}
