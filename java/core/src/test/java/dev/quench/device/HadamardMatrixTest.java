package dev.quench.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class HadamardMatrixTest {
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 4, 8, 64, 256, 12, 20, 28, 36, 24, 40, 56, 72, 80, 160, 224, 384})
  void isSymmetricAndItsSquareIsN(long n) {
    HadamardMatrix h = HadamardMatrix.of(n);

    assertThat(h.size()).isEqualTo(n);
    for (long i = 0; i < n; i++) {
      for (long j = 0; j < n; j++) {
        assertThat(h.sign(i, j)).isIn(1, -1).isEqualTo(h.sign(j, i));
        long product = 0;
        for (long k = 0; k < n; k++) {
          product += (long) h.sign(i, k) * h.sign(k, j);
        }
        assertThat(product).as("H·H at (%d, %d)", i, j).isEqualTo(i == j ? n : 0);
      }
    }
  }

  @Test
  void aPowerOfTwoIsSylvesters() {
    for (long i = 0; i < 32; i++) {
      for (long j = 0; j < 32; j++) {
        assertThat(HadamardMatrix.of(32).sign(i, j)).isEqualTo(1 - Long.bitCount(i & j) % 2 * 2);
      }
    }
  }

  @Test
  void sizesOfModels() {
    assertThat(LongStream.of(64, 128, 768, 2048, 3072, 3584, 4096, 5120, 7168, 8192, 14336, 18432))
        .allMatch(HadamardMatrix::exists);
    assertThat(LongStream.of(-4, 0, 3, 6, 5, 44, 60, 172, 11008)).noneMatch(HadamardMatrix::exists);
    assertThatThrownBy(() -> HadamardMatrix.of(11008))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("11008");
  }
}
