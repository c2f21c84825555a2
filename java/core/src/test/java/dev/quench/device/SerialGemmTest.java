package dev.quench.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Each implementation, at each forced vector length, against sums in double precision. */
@Tag("vector")
final class SerialGemmTest {
  private record Product(
      boolean transposeA,
      boolean transposeB,
      int m,
      int n,
      int k,
      float alpha,
      float beta,
      int padding) {}

  static Stream<SerialGemm> implementations() {
    return Stream.of(OneDnnGemm.load(), new VectorGemm());
  }

  private static List<Product> products() {
    int[][] shapes = {
      {1, 1, 1},
      {1, 17, 3},
      {5, 1, 300},
      {6, 16, 64},
      {7, 15, 13},
      {13, 33, 257},
      {72, 48, 256},
      {97, 131, 530},
      {3, 700, 65},
      {200, 9, 31}
    };
    return Stream.of(shapes)
        .flatMap(
            shape ->
                Stream.of(0, 1, 2, 3)
                    .map(
                        bits ->
                            new Product(
                                (bits & 1) != 0,
                                (bits & 2) != 0,
                                shape[0],
                                shape[1],
                                shape[2],
                                bits == 1 ? -1f : bits == 3 ? 0.5f : 1f,
                                bits == 2 ? 1f : bits == 3 ? -0.25f : 0f,
                                bits * 3)))
        .toList();
  }

  @ParameterizedTest
  @MethodSource("implementations")
  void matchesSumsInDoublePrecision(SerialGemm gemm) {
    SplittableRandom random = new SplittableRandom(7);
    for (Product p : products()) {
      try (Arena arena = Arena.ofConfined()) {
        int lda = (p.transposeA ? p.m : p.k) + p.padding;
        int ldb = (p.transposeB ? p.k : p.n) + p.padding;
        int ldc = p.n + p.padding;
        MemorySegment a = random(arena, (p.transposeA ? p.k : p.m) * (long) lda, random);
        MemorySegment b = random(arena, (p.transposeB ? p.n : p.k) * (long) ldb, random);
        MemorySegment c = random(arena, p.m * (long) ldc, random);
        if (p.beta == 0) {
          for (int i = 0; i < p.m; i++) {
            for (int j = 0; j < p.n; j++) {
              c.setAtIndex(ValueLayout.JAVA_FLOAT, (long) i * ldc + j, Float.NaN);
            }
          }
        }
        float[] before = c.toArray(ValueLayout.JAVA_FLOAT);

        gemm.sgemm(
            p.transposeA, p.transposeB, p.m, p.n, p.k, p.alpha, a, lda, b, ldb, p.beta, c, ldc);

        check(p, a, lda, b, ldb, before, c.toArray(ValueLayout.JAVA_FLOAT), ldc);
      }
    }
  }

  private static void check(
      Product p,
      MemorySegment a,
      int lda,
      MemorySegment b,
      int ldb,
      float[] before,
      float[] after,
      int ldc) {
    for (int i = 0; i < p.m; i++) {
      for (int j = 0; j < ldc; j++) {
        int at = i * ldc + j;
        if (j >= p.n) {
          assertThat(after[at]).as("%s: padding of C", p).isEqualTo(before[at]);
          continue;
        }
        double sum = 0;
        double magnitude = 0;
        for (int l = 0; l < p.k; l++) {
          double term =
              (double)
                      a.getAtIndex(ValueLayout.JAVA_FLOAT, p.transposeA ? l * lda + i : i * lda + l)
                  * b.getAtIndex(ValueLayout.JAVA_FLOAT, p.transposeB ? j * ldb + l : l * ldb + j);
          sum += term;
          magnitude += Math.abs(term);
        }
        double old = p.beta == 0 ? 0 : p.beta * (double) before[at];
        // Any order of k products and sums errs by at most γ(k) Σ|ab| (Higham, Accuracy and
        // Stability of Numerical Algorithms, 3.1); three roundings more for alpha, beta and C.
        double unit = 0x1p-24 * (p.k + 4);
        double bound = unit / (1 - unit) * (Math.abs(p.alpha) * magnitude + Math.abs(old));
        assertThat(Math.abs(after[at] - (p.alpha * sum + old)))
            .as("%s at (%d, %d)", p, i, j)
            .isLessThanOrEqualTo(bound);
      }
    }
  }

  private static MemorySegment random(Arena arena, long elements, SplittableRandom random) {
    MemorySegment memory = arena.allocate(elements * Float.BYTES, 64);
    for (long i = 0; i < elements; i++) {
      memory.setAtIndex(ValueLayout.JAVA_FLOAT, i, random.nextFloat(-1, 1));
    }
    return memory;
  }
}
