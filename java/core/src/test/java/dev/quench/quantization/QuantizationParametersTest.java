package dev.quench.quantization;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.tensor.DType;
import java.util.HashMap;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.FloatRange;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

final class QuantizationParametersTest {
  private static QuantizationArgs args(int bits, boolean symmetric) {
    return QuantizationArgsReader.read(
        new HashMap<>(Map.of("num_bits", bits, "symmetric", symmetric)), "test");
  }

  @Test
  void symmetricScalesDivideByHalfTheRangeOfCodes() {
    assertThat(QuantizationParameters.of(-3, 1, args(4, true), DType.F32))
        .isEqualTo(new QuantizationParameters(3 / 7.5f, (byte) 0));
    assertThat(QuantizationParameters.of(-3, 1, args(8, true), DType.F32).scale())
        .isEqualTo(3 / 127.5f);
  }

  @Test
  void asymmetricRangesGoToAllCodes() {
    assertThat(QuantizationParameters.of(-1, 2, args(4, false), DType.F32))
        .isEqualTo(new QuantizationParameters(3 / 15f, (byte) -3));
  }

  @Test
  void aRangeOfZeroHasTheEpsilonOfItsDtypeAsScale() {
    for (boolean symmetric : new boolean[] {true, false}) {
      assertThat(QuantizationParameters.of(0, 0, args(8, symmetric), DType.BF16))
          .isEqualTo(new QuantizationParameters(0x1p-7f, (byte) 0));
      assertThat(QuantizationParameters.of(0, 0, args(8, symmetric), DType.F16).scale())
          .isEqualTo(0x1p-10f);
      assertThat(QuantizationParameters.of(0, 0, args(8, symmetric), DType.F32).scale())
          .isEqualTo(0x1p-23f);
    }
  }

  /** Zero is a value of every asymmetric grid: its code is the zero point. */
  @Property(seed = "1", tries = 1000)
  void zeroStaysZero(
      @ForAll @FloatRange(min = -1000, max = 0) float min,
      @ForAll @FloatRange(min = 0, max = 1000) float max,
      @ForAll @IntRange(min = 1, max = 8) int bits) {
    QuantizationArgs args = args(bits, false);
    QuantizationParameters parameters = QuantizationParameters.of(min, max, args, DType.F32);
    float zeroPoint = parameters.zeroPoint();
    byte code = Rounding.code(0, parameters.scale(), zeroPoint, args, DType.F32);
    assertThat(code).isEqualTo(parameters.zeroPoint());
    assertThat(Rounding.value(code, parameters.scale(), zeroPoint, args, DType.F32)).isZero();
  }
}
