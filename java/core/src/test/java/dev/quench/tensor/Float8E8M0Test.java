package dev.quench.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class Float8E8M0Test {
  @Test
  void everyCodeIsItsPowerOfTwo() {
    for (int code = 0; code < 255; code++) {
      float value = Float8E8M0.toFloat((byte) code);
      assertThat((double) value).isEqualTo(Math.pow(2, code - 127));
      assertThat(Float8E8M0.fromFloat(value)).isEqualTo((byte) code);
    }
  }

  @Test
  void theLastCodeIsNan() {
    assertThat(Float8E8M0.toFloat((byte) 255)).isNaN();
    for (float none : new float[] {0, -1, Float.NaN, Float.POSITIVE_INFINITY}) {
      assertThat(Float8E8M0.fromFloat(none)).isEqualTo((byte) 255);
    }
  }
}
