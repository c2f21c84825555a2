package dev.quench.device;

import static dev.quench.device.Matrices.absolute;
import static dev.quench.device.Matrices.doubles;
import static dev.quench.device.Matrices.gamma;
import static dev.quench.device.Matrices.product;
import static dev.quench.device.Matrices.transpose;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.tensor.DType;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class CpuMatrixProductsTest {
  private static CpuDevice device;

  @BeforeAll
  static void open() {
    device = new CpuDevice(3);
  }

  @AfterAll
  static void close() {
    device.close();
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, 0",
    "7, 5, 3, 1",
    "65, 193, 70, 0",
    "130, 400, 33, 5",
    "300, 1, 40, 2",
    // Rows at a distance of 128 elements: operands that are read down columns get copied.
    "128, 256, 128, 0",
    "100, 100, 64, 28",
    "513, 640, 50, 0"
  })
  void gemmMatchesSumsInDoublePrecision(int m, int n, int k, int padding) {
    for (boolean transposeA : new boolean[] {false, true}) {
      for (boolean transposeB : new boolean[] {false, true}) {
        for (float beta : new float[] {0, 1, -0.5f}) {
          checkGemm(m, n, k, padding, transposeA, transposeB, beta);
        }
      }
    }
  }

  private static void checkGemm(
      int m, int n, int k, int padding, boolean transposeA, boolean transposeB, float beta) {
    float alpha = -0.75f;
    try (Scope scope = device.openScope()) {
      HostMatrix a = Matrices.random(scope, transposeA ? k : m, transposeA ? m : k, padding, 1);
      HostMatrix b = Matrices.random(scope, transposeB ? n : k, transposeB ? k : n, padding, 2);
      HostMatrix c = Matrices.random(scope, m, n, padding, 3);
      double[][] before = doubles(c);
      if (beta == 0) {
        Matrices.fill(c, Float.NaN);
      }

      device.gemm(alpha, a, transposeA, b, transposeB, beta, c);

      double[][] left = transposeA ? transpose(doubles(a)) : doubles(a);
      double[][] right = transposeB ? transpose(doubles(b)) : doubles(b);
      double[][] sums = product(left, right);
      double[][] magnitudes = product(absolute(left), absolute(right));
      double[][] after = doubles(c);
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
          double old = beta == 0 ? 0 : beta * before[i][j];
          // k products and sums in any order; alpha, beta and their sum.
          double bound = gamma(k + 3) * (Math.abs(alpha) * magnitudes[i][j] + Math.abs(old));
          assertThat(Math.abs(after[i][j] - (alpha * sums[i][j] + old)))
              .as("(%d, %d) of %s%s", i, j, transposeA ? "T" : "N", transposeB ? "T" : "N")
              .isLessThanOrEqualTo(bound);
        }
      }
    }
  }

  @Test
  void gemmOverNothingScalesC() {
    try (Scope scope = device.openScope()) {
      HostMatrix a = HostMatrix.of(scope.allocate(DType.F32, 3, 0));
      HostMatrix b = HostMatrix.of(scope.allocate(DType.F32, 0, 2));
      HostMatrix c = Matrices.random(scope, 3, 2, 1, 3);
      double[][] before = doubles(c);

      device.gemm(1, a, false, b, false, 0.5f, c);

      double[][] after = doubles(c);
      for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 2; j++) {
          assertThat(after[i][j]).isEqualTo(0.5 * before[i][j]);
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 0",
    "2, 3, 0",
    "37, 25, 3",
    "5, 145, 0",
    "1030, 64, 0",
    "300, 256, 0",
    "130, 433, 7",
    "2050, 96, 32"
  })
  void syrkMatchesSumsInDoublePrecision(int tokens, int n, int padding) {
    try (Scope scope = device.openScope()) {
      HostMatrix x = Matrices.random(scope, tokens, n, padding, 1);
      HostMatrix h = Matrices.random(scope, n, n, padding, 2);
      double[][] before = doubles(h);

      device.syrk(x, h);

      double[][] xs = doubles(x);
      double[][] sums = product(transpose(xs), xs);
      double[][] magnitudes = product(transpose(absolute(xs)), absolute(xs));
      double[][] after = doubles(h);
      for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
          double bound = gamma(tokens + 1) * (magnitudes[i][j] + Math.abs(before[i][j]));
          assertThat(Math.abs(after[i][j] - before[i][j] - sums[i][j]))
              .as("(%d, %d)", i, j)
              .isLessThanOrEqualTo(bound);
        }
      }
    }
  }

  @Test
  void resultsDoNotDependOnThreads() {
    // Odd, and larger than several tiles in each direction.
    int n = 413;
    List<Consumer<Run>> operations =
        List.of(
            run -> run.device.gemm(1, run.x, true, run.x, false, 1, run.h),
            run -> run.device.gemm(1, run.x, false, run.h, true, 0, run.x2),
            run -> run.device.syrk(run.x, run.h),
            run -> assertThat(run.device.reverseCholesky(run.h)).isEmpty(),
            run -> run.device.invertUpper(run.h));
    byte[] expected = null;
    for (int threads : new int[] {1, 2, 3}) {
      try (CpuDevice other = new CpuDevice(threads);
          Scope scope = other.openScope()) {
        HostMatrix x = Matrices.random(scope, 1100, n, 3, 1);
        HostMatrix x2 = Matrices.random(scope, 1100, n, 0, 2);
        HostMatrix h = Matrices.random(scope, n, n, 0, 3);
        for (int i = 0; i < n; i++) {
          Matrices.set(h, i, i, n);
        }
        Run run = new Run(other, x, x2, h);
        operations.forEach(operation -> operation.accept(run));
        byte[] bytes = concat(x2, h);
        if (expected == null) {
          expected = bytes;
        }
        assertThat(bytes).as("%d threads", threads).isEqualTo(expected);
      }
    }
  }

  private record Run(CpuDevice device, HostMatrix x, HostMatrix x2, HostMatrix h) {}

  private static byte[] concat(HostMatrix a, HostMatrix b) {
    byte[] first = a.memory().toArray(ValueLayout.JAVA_BYTE);
    byte[] second = b.memory().toArray(ValueLayout.JAVA_BYTE);
    byte[] both = new byte[first.length + second.length];
    System.arraycopy(first, 0, both, 0, first.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }

  @Test
  void rejectsShapesAndTypesThatDoNotFit() {
    try (Scope scope = device.openScope()) {
      Tensor a = scope.zeros(DType.F32, 2, 3);
      Tensor square = scope.zeros(DType.F32, 2, 2);
      assertThatThrownBy(() -> device.gemm(1, a, false, a, false, 0, square))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("op(a) [2, 3] · op(b) [2, 3]");
      assertThatThrownBy(() -> device.syrk(a, square)).isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> device.reverseCholesky(a))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("not square");
      assertThatThrownBy(() -> device.invertUpper(scope.zeros(DType.BF16, 2, 2)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("not F32");
    }
  }
}
