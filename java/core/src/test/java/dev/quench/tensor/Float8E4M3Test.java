package dev.quench.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class Float8E4M3Test {
  /** The specification's formula: (−1)^s · 2^(e−7) · (1 + m/8), or (−1)^s · 2^−6 · m/8 if e = 0. */
  private static double specified(int bits) {
    int exponent = bits >>> 3 & 0xF;
    int mantissa = bits & 7;
    double magnitude =
        exponent == 0
            ? Math.scalb(mantissa / 8.0, -6)
            : Math.scalb(1 + mantissa / 8.0, exponent - 7);
    return (bits & 0x80) == 0 ? magnitude : -magnitude;
  }

  @Test
  void everyPatternHasTheValueThatTheSpecificationSays() {
    for (int bits = 0; bits < 256; bits++) {
      float value = Float8E4M3.toFloat((byte) bits);
      if ((bits & 0x7F) == 0x7F) {
        assertThat(value).isNaN();
        assertThat(Float8E4M3.fromFloat(value) & 0x7F).isEqualTo(0x7F);
      } else {
        assertThat((double) value).isEqualTo(specified(bits));
        assertThat(Float8E4M3.fromFloat(value)).isEqualTo((byte) bits);
      }
    }
    assertThat(Float8E4M3.toFloat((byte) 0x7E)).isEqualTo(Float8E4M3.MAX);
  }

  /** Between every two neighbours, 480 standing for what would follow 448. */
  @Test
  void roundsToTheNearestAndTiesToEven() {
    for (int bits = 0; bits < 0x7F; bits++) {
      float lower = (float) specified(bits);
      float middle = (lower + (float) specified(bits + 1)) / 2;
      int even = (bits & 1) == 0 ? bits : bits + 1;
      for (int sign : new int[] {0, 0x80}) {
        float s = sign == 0 ? 1 : -1;
        assertThat(Float8E4M3.fromFloat(s * Math.nextUp(lower))).isEqualTo((byte) (bits | sign));
        assertThat(Float8E4M3.fromFloat(s * Math.nextDown(middle))).isEqualTo((byte) (bits | sign));
        assertThat(Float8E4M3.fromFloat(s * middle)).isEqualTo((byte) (even | sign));
        assertThat(Float8E4M3.fromFloat(s * Math.nextUp(middle)))
            .isEqualTo((byte) (bits + 1 | sign));
      }
    }
  }

  @Test
  void beyondTheRangeIsNan() {
    for (float value : new float[] {464.01f, 480, 1e30f, Float.POSITIVE_INFINITY, Float.NaN}) {
      assertThat(Float8E4M3.fromFloat(value)).isEqualTo((byte) 0x7F);
      assertThat(Float8E4M3.fromFloat(-value) & 0x7F).isEqualTo(0x7F);
    }
  }
}
