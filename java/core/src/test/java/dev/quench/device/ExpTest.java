package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

final class ExpTest {
  /** A prime, so that all low bits take part: some 300,000 floats of [0, 104]. */
  private static final int STEP = 3571;

  @Test
  void withinTwoUnitsInTheLastPlaceDownToTheSmallestSubnormal() {
    int last = Float.floatToIntBits(104.5f);
    for (int bits = 0; bits <= last; bits += STEP) {
      float a = Float.intBitsToFloat(bits);
      double exact = Math.exp(-(double) a);
      double unit = Math.ulp((float) exact);
      assertThat(Math.abs(Exp.decay(a) - exact)).as("e^-%s", a).isLessThanOrEqualTo(2 * unit);
    }
  }

  @Test
  void corners() {
    assertThat(Exp.decay(0f)).isEqualTo(1f);
    assertThat(Exp.decay(104f)).isEqualTo(0f);
    assertThat(Exp.decay(Float.MAX_VALUE)).isEqualTo(0f);
    assertThat(Exp.decay(Float.POSITIVE_INFINITY)).isEqualTo(0f);
    assertThat(Exp.decay(Float.NaN)).isNaN();
  }

  @Test
  void vectorsGiveTheBitsOfScalars() {
    float[] corners = {
      0f,
      -0f,
      Float.MIN_VALUE,
      103.9f,
      104f,
      1e30f,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY,
      Float.NaN,
      Float.intBitsToFloat(0x7FC00001), // low bits of a NaN must not become an exponent
      Float.intBitsToFloat(0xFFFFFFFF),
      Float.intBitsToFloat(0x7F8001FF)
    };
    int count = 1019;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = arena.allocate(JAVA_FLOAT, count);
      MemorySegment y = arena.allocate(JAVA_FLOAT, count);
      for (int i = 0; i < count; i++) {
        x.setAtIndex(JAVA_FLOAT, i, i % 5 == 0 ? corners[i / 5 % corners.length] : i * 0.31f - 80);
      }
      for (float origin : new float[] {0, 17.3f}) {
        float sum = Exp.decay(x, 0, origin, y, 0, count);
        assertThat(sum).isNaN();
        for (int i = 0; i < count; i++) {
          float expected = Exp.decay(Math.abs(x.getAtIndex(JAVA_FLOAT, i) - origin));
          // Which NaN it is doesn't matter.
          assertThat(Float.floatToIntBits(y.getAtIndex(JAVA_FLOAT, i)))
              .as("element %d", i)
              .isEqualTo(Float.floatToIntBits(expected));
        }
      }
    }
  }

  /** Each of n roundings of the sum is at most u times the sum of positive terms. */
  @Test
  void returnsTheSumOfWhatItWrites() {
    int count = 777;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment x = arena.allocate(JAVA_FLOAT, count);
      for (int i = 0; i < count; i++) {
        x.setAtIndex(JAVA_FLOAT, i, -0.01f * i);
      }
      float sum = Exp.decay(x, 0, 0, x, 0, count); // in place
      double exact = 0;
      for (int i = 0; i < count; i++) {
        exact += x.getAtIndex(JAVA_FLOAT, i);
      }
      assertThat(Math.abs(sum - exact)).isLessThanOrEqualTo(Matrices.gamma(count) * exact);
    }
  }
}
