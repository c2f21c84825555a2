package dev.quench.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class Bfloat16Test {
  @Test
  void everyPatternSurvivesTheWayToFloatAndBack() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = Bfloat16.toFloat((short) bits);
      short back = Bfloat16.fromFloat(value);
      if (Float.isNaN(value)) {
        assertThat(Bfloat16.toFloat(back)).isNaN();
      } else {
        assertThat(back).isEqualTo((short) bits);
      }
    }
  }

  /**
   * Between every two neighbours: the middle goes to the even one, what is beside it to the nearer.
   */
  @Test
  void roundsToTheNearestAndTiesToEven() {
    for (int bits = 0; bits < 0x7F80; bits++) {
      float lower = Bfloat16.toFloat((short) bits);
      float middle = Float.intBitsToFloat(bits << 16 | 0x8000);
      int even = (bits & 1) == 0 ? bits : bits + 1;
      for (int sign : new int[] {0, 0x8000}) {
        float s = sign == 0 ? 1 : -1;
        assertThat(Bfloat16.fromFloat(s * Math.nextUp(lower))).isEqualTo((short) (bits | sign));
        assertThat(Bfloat16.fromFloat(s * Math.nextDown(middle))).isEqualTo((short) (bits | sign));
        assertThat(Bfloat16.fromFloat(s * middle)).isEqualTo((short) (even | sign));
        assertThat(Bfloat16.fromFloat(s * Math.nextUp(middle)))
            .isEqualTo((short) (bits + 1 | sign));
      }
    }
  }

  @Test
  void everyNanStaysOne() {
    // Those whose upper half alone would be an infinity, too.
    for (int bits : new int[] {0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F80FFFF}) {
      assertThat(Bfloat16.round(Float.intBitsToFloat(bits))).isNaN();
    }
  }
}
