package dev.quench.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class Float4E2M1Test {
  @ParameterizedTest
  @CsvSource({
    "0.25, 0",
    "0.75, 1",
    "1.25, 1",
    "1.75, 2",
    "2.5, 2",
    "3.5, 4",
    "5, 4", // ties
    "0.3, 0.5",
    "0.6, 0.5",
    "0.9, 1",
    "1.3, 1.5",
    "1.8, 2",
    "2.7, 3",
    "4.5, 4",
    "7, 6",
    "5.01, 6"
  })
  void goesToTheNearestValueAndTiesToTheEvenCode(float value, float expected) {
    assertThat(Float4E2M1.toFloat(Float4E2M1.fromFloat(value))).isEqualTo(expected);
    assertThat(Float4E2M1.toFloat(Float4E2M1.fromFloat(-value))).isEqualTo(-expected);
  }

  /** No value is nearer than the one chosen, for every bfloat16. */
  @Test
  void noValueIsNearer() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = Bfloat16.toFloat((short) bits);
      float clamped = Math.clamp(value, -6f, 6f);
      float chosen = Float4E2M1.toFloat(Float4E2M1.fromFloat(value));
      for (int code = 0; code < 16 && !Float.isNaN(value); code++) {
        assertThat(Math.abs(clamped - chosen))
            .isLessThanOrEqualTo(Math.abs(clamped - Float4E2M1.toFloat((byte) code)));
      }
    }
  }

  @Test
  void codesComeBack() {
    for (byte code = 0; code < 16; code++) {
      byte expected = code == 8 ? 0 : code; // −0
      assertThat(Float4E2M1.fromFloat(Float4E2M1.toFloat(code))).isEqualTo(expected);
    }
  }

  @Test
  void zerosLoseTheirSignWhatUnderflowsKeepsItAndNanIsZero() {
    assertThat(Float4E2M1.fromFloat(-0f)).isEqualTo((byte) 0);
    assertThat(Float4E2M1.fromFloat(-0x1p-140f)).isEqualTo((byte) 8);
    assertThat(Float4E2M1.fromFloat(Float.NaN)).isEqualTo((byte) 0);
    assertThat(Float4E2M1.fromFloat(Float.NEGATIVE_INFINITY)).isEqualTo((byte) 15);
  }
}
