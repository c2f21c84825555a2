package dev.quench.quantization;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.quench.tensor.DType;
import java.util.HashMap;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.FloatRange;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class QuantizationParametersTest {
  private static QuantizationArgs args(int bits, boolean symmetric) {
    return QuantizationArgsReader.read(
        new HashMap<>(Map.of("num_bits", bits, "symmetric", symmetric)), "test");
  }

  @Test
  void symmetricScalesDivideByHalfTheRangeOfCodes() {
    assertThat(QuantizationParameters.of(-3, 1, args(4, true), GlobalScale.NONE, DType.F32))
        .isEqualTo(new QuantizationParameters(3 / 7.5f, (byte) 0));
    assertThat(QuantizationParameters.of(-3, 1, args(8, true), GlobalScale.NONE, DType.F32).scale())
        .isEqualTo(3 / 127.5f);
  }

  @Test
  void asymmetricRangesGoToAllCodes() {
    assertThat(QuantizationParameters.of(-1, 2, args(4, false), GlobalScale.NONE, DType.F32))
        .isEqualTo(new QuantizationParameters(3 / 15f, (byte) -3));
  }

  @Test
  void aRangeOfZeroHasTheEpsilonOfItsDtypeAsScale() {
    for (boolean symmetric : new boolean[] {true, false}) {
      assertThat(QuantizationParameters.of(0, 0, args(8, symmetric), GlobalScale.NONE, DType.BF16))
          .isEqualTo(new QuantizationParameters(0x1p-7f, (byte) 0));
      assertThat(
              QuantizationParameters.of(0, 0, args(8, symmetric), GlobalScale.NONE, DType.F16)
                  .scale())
          .isEqualTo(0x1p-10f);
      assertThat(
              QuantizationParameters.of(0, 0, args(8, symmetric), GlobalScale.NONE, DType.F32)
                  .scale())
          .isEqualTo(0x1p-23f);
    }
  }

  private static QuantizationArgs preset(String name) {
    return PresetSchemes.find(name).orElseThrow().weights().orElseThrow();
  }

  /** compressed-tensors' own examples, a power of two below the magnitude or the next. */
  @ParameterizedTest
  @CsvSource({
    "5.6879, 4",
    "8.29, 8",
    "1.54, 1",
    "0.3156, 0.25",
    "0.965, 1",
    "6.944, 4",
    "0.0732, 0.0625",
    "7.29, 8",
    "1.5016, 1",
    "9.857, 8",
    "7, 8",
    "6.9688, 4"
  })
  void microscalesArePowersOfTwo(float magnitude, float power) {
    float rounded = Rounding.to(DType.BF16, magnitude);
    for (DType dtype : new DType[] {DType.BF16, DType.F16, DType.F32}) {
      assertThat(of(rounded, "MXFP4A16", dtype)).isEqualTo(power / 4);
      assertThat(of(-rounded, "MXFP8A16", dtype)).isEqualTo(power / 256);
    }
  }

  @Test
  void microscalesOfNothingAreTheSmallestThatTheDtypeHas() {
    for (float tiny : new float[] {0, 0x1p-130f}) {
      assertThat(of(tiny, "MXFP4A16", DType.BF16)).isEqualTo(0x1p-127f);
      assertThat(of(tiny, "MXFP4A16", DType.F32)).isEqualTo(0x1p-127f);
    }
    // 2^−127 is 0 in float16, which a scale must not be.
    assertThat(of(0, "MXFP4A16", DType.F16)).isEqualTo(1);
    assertThat(of(0x1p-16f, "MXFP4A16", DType.F16)).isEqualTo(1);
    assertThat(of(0x1.8p-15f, "MXFP4A16", DType.F16)).isEqualTo(0x1p-16f);
    assertThat(of(Float.MAX_VALUE, "MXFP4A16", DType.F32)).isEqualTo(0x1p126f);
    assertThat(of(Float.POSITIVE_INFINITY, "MXFP4A16", DType.F32)).isNaN();
    assertThat(of(Float.NaN, "MXFP8A16", DType.F32)).isNaN();
  }

  private static float of(float extreme, String scheme, DType dtype) {
    return QuantizationParameters.of(
            Math.min(extreme, 0), Math.max(extreme, 0), preset(scheme), GlobalScale.NONE, dtype)
        .scale();
  }

  /** The weight 0 … 23 in groups of three columns, as compressed-tensors' test has it. */
  @Test
  void scalesInE4m3AreStretchedByTheGlobalScale() {
    float global = GlobalScale.of(23, DType.BF16);
    QuantizationArgs args = preset("NVFP4A16");
    assertThat(global).isEqualTo(117);

    float scale = QuantizationParameters.of(0, 2, args, global, DType.BF16).scale();
    assertThat(scale).isEqualTo(40);

    float[] expected = {0, 1.0234f, 2.0469f};
    for (int x = 0; x < 3; x++) {
      byte code = Rounding.code(x, scale / global, 0, args, DType.F32);
      float value = Rounding.value(code, scale / global, 0, args, DType.F32);
      assertThat(Rounding.to(DType.BF16, value)).isCloseTo(expected[x], within(0.0001f));
    }
  }

  @Test
  void scalesInE4m3AreNeverZeroAndNeverTooLarge() {
    QuantizationArgs args = preset("NVFP4A16");
    assertThat(QuantizationParameters.of(0, 0, args, 1, DType.F32).scale()).isEqualTo(0.125f);
    assertThat(QuantizationParameters.of(0, 0x1p-9f, args, 1, DType.F32).scale()).isEqualTo(0.125f);
    assertThat(QuantizationParameters.of(-1e9f, 0, args, 1, DType.F32).scale()).isEqualTo(448);
    assertThat(QuantizationParameters.of(Float.NaN, Float.NaN, args, 1, DType.F32).scale()).isNaN();
  }

  @Test
  void globalScalesThatDontFitAreOne() {
    assertThat(GlobalScale.of(0, DType.BF16)).isEqualTo(1);
    assertThat(GlobalScale.of(0, DType.F32)).isEqualTo(1);
    assertThat(GlobalScale.of(Float.NaN, DType.F32)).isEqualTo(1);
    assertThat(GlobalScale.of(0.04f, DType.F16)).isEqualTo(1);
    assertThat(GlobalScale.of(2688, DType.F32)).isCloseTo(1, within(0x1p-23f));
  }

  /** Zero is a value of every asymmetric grid: its code is the zero point. */
  @Property(seed = "1", tries = 1000)
  void zeroStaysZero(
      @ForAll @FloatRange(min = -1000, max = 0) float min,
      @ForAll @FloatRange(min = 0, max = 1000) float max,
      @ForAll @IntRange(min = 1, max = 8) int bits) {
    QuantizationArgs args = args(bits, false);
    QuantizationParameters parameters =
        QuantizationParameters.of(min, max, args, GlobalScale.NONE, DType.F32);
    float zeroPoint = parameters.zeroPoint();
    byte code = Rounding.code(0, parameters.scale(), zeroPoint, args, DType.F32);
    assertThat(code).isEqualTo(parameters.zeroPoint());
    assertThat(Rounding.value(code, parameters.scale(), zeroPoint, args, DType.F32)).isZero();
  }
}
