package dev.quench.quantization;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.tensor.DType;
import java.util.HashMap;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

final class RoundingTest {
  /** A format, the dtype of its values, and a scale of that dtype. */
  record Grid(QuantizationArgs args, DType dtype, float scale) {
    byte code(float x) {
      return Rounding.code(x, scale, 0, args, dtype);
    }

    float value(byte code) {
      return Rounding.value(code, scale, 0, args, dtype);
    }

    float number(byte code) {
      return args.codeFormat().toFloat(code);
    }

    /** A code, of random bits. */
    byte code(byte random) {
      return switch (args.codeFormat()) {
        case INTEGER -> (byte) (random >> (8 - args.numBits()));
        case E4M3 -> random;
        case E2M1 -> (byte) (random & 0xF);
      };
    }
  }

  private static QuantizationArgs integer(int bits) {
    return QuantizationArgsReader.read(new HashMap<>(Map.of("num_bits", bits)), "test");
  }

  private static QuantizationArgs float8() {
    return QuantizationArgsReader.read(new HashMap<>(Map.of("type", "float")), "test");
  }

  private static QuantizationArgs float4() {
    return QuantizationArgsReader.read(
        new HashMap<>(Map.of("type", "float", "num_bits", 4)), "test");
  }

  private static final Arbitrary<DType> DTYPES = Arbitraries.of(DType.F32, DType.BF16, DType.F16);

  /** Scales for which no value of the formats is subnormal in float16, nor too large. */
  private static Arbitrary<Float> scales() {
    return Arbitraries.integers().between(1 << 12, 1 << 20).map(i -> i * 0x1p-16f);
  }

  @Provide
  Arbitrary<Grid> grids() {
    Arbitrary<QuantizationArgs> formats =
        Arbitraries.integers()
            .between(-1, 8)
            .map(bits -> bits < 0 ? float4() : bits == 0 ? float8() : integer(bits));
    return Combinators.combine(formats, DTYPES, scales())
        .as((args, dtype, scale) -> new Grid(args, dtype, Rounding.to(dtype, scale)));
  }

  @Property(seed = "1", tries = 2000)
  void codesRiseWithValues(
      @ForAll("grids") Grid grid, @ForAll("values") float x, @ForAll("values") float y) {
    float smaller = Rounding.to(grid.dtype, Math.min(x, y));
    float larger = Rounding.to(grid.dtype, Math.max(x, y));
    assertThat(grid.number(grid.code(smaller))).isLessThanOrEqualTo(grid.number(grid.code(larger)));
  }

  @Provide
  Arbitrary<Float> values() {
    return Arbitraries.integers().between(-(1 << 24), 1 << 24).map(i -> i * 0x1p-13f);
  }

  /** What lies beyond the outermost code becomes that code. */
  @Property(seed = "4", tries = 1000)
  void codesSaturate(@ForAll("grids") Grid grid, @ForAll("values") float x) {
    float largest = grid.args.maxCode();
    float beyond = Rounding.to(grid.dtype, (largest + 1 + Math.abs(x)) * grid.scale * 1.01f);
    assertThat(grid.number(grid.code(beyond))).isEqualTo(largest);
    assertThat(grid.number(grid.code(-beyond))).isEqualTo(grid.args.minCode());
    assertThat(grid.number(grid.code(Float.POSITIVE_INFINITY))).isEqualTo(largest);
    assertThat(grid.number(grid.code(Float.NEGATIVE_INFINITY))).isEqualTo(grid.args.minCode());
  }

  /** Values of codes are their own: rounding them a second time changes nothing. */
  @Property(seed = "5", tries = 1000)
  void roundingIsIdempotent(@ForAll("grids") Grid grid, @ForAll("values") float x) {
    float once = grid.value(grid.code(Rounding.to(grid.dtype, x)));
    byte again = grid.code(once);
    if (isCoarse(grid)) {
      return; // valuesOfCodesGiveTheCodesBack says why
    }
    assertThat(grid.value(again)).isEqualTo(once + 0f);
  }

  private static boolean isCoarse(Grid grid) {
    return grid.dtype == DType.BF16
        && grid.args.codeFormat() == CodeFormat.INTEGER
        && grid.args.numBits() > 6;
  }

  /**
   * Code → value → code. With u half the distance of neighbours around 1 (2⁻²⁴, 2⁻⁸, 2⁻¹¹), the
   * value is rounded once and its quotient once, so that q comes back as q·(1 ± 2u) to first order,
   * less than ½ off where |q| < 1/(4u): for all codes but those of 7 and 8 bits in bfloat16. A
   * value of E4M3 is at least 1/31 of itself away from the middle to its neighbour, more than 2⁻⁷,
   * and one of E2M1 more.
   */
  @Property(seed = "2", tries = 1000)
  void valuesOfCodesGiveTheCodesBack(@ForAll("grids") Grid grid, @ForAll byte any) {
    byte code = grid.code(any);
    if (isCoarse(grid) || Float.isNaN(grid.number(code))) {
      return;
    }
    float expected = grid.number(code);
    // −0 plus the zero point 0 is 0.
    assertThat(grid.number(grid.code(grid.value(code))) + 0f).isEqualTo(expected + 0f);
  }

  /** 101.27 is 101.5 in bfloat16, which rounds to 102. */
  @Test
  void quotientsAreRoundedToTheirDtypeFirst() {
    float scale = 0.00390625f;
    float x = Rounding.to(DType.BF16, 101.27f * scale);
    assertThat(Rounding.code(x, scale, 0, integer(8), DType.BF16)).isEqualTo((byte) 102);
    assertThat(Rounding.code(101.27f * scale, scale, 0, integer(8), DType.F32))
        .isEqualTo((byte) 101);
  }

  @Test
  void zerosLoseTheirSignButWhatUnderflowsKeepsIt() {
    assertThat(Rounding.code(-0f, 1, 0, float8(), DType.F32)).isEqualTo((byte) 0);
    assertThat(Rounding.code(-0x1p-12f, 1, 0, float8(), DType.F32)).isEqualTo((byte) 0x80);
  }

  @Test
  void nanIsCodeZeroOrNan() {
    assertThat(Rounding.code(Float.NaN, 1, 0, integer(4), DType.F32)).isEqualTo((byte) 0);
    assertThat(Rounding.code(Float.NaN, 1, 0, float8(), DType.F32) & 0x7F).isEqualTo(0x7F);
  }

  @Test
  void halvesGoToTheEvenCode() {
    float[] values = {-1.5f, -0.5f, 0.5f, 1.5f, 2.5f, 6.5f, 7.5f, 100, -100};
    byte[] expected = {-2, 0, 0, 2, 2, 6, 7, 7, -8};
    for (int i = 0; i < values.length; i++) {
      assertThat(Rounding.code(values[i], 1, 0, integer(4), DType.F32)).isEqualTo(expected[i]);
    }
  }

  @Test
  void quotientsOfSixteenBitsAreTheNearest() {
    // Quotients of numbers of 8 or 11 bits, rounded to 24 bits and then to theirs: every 257th
    // pair.
    for (DType dtype : new DType[] {DType.BF16, DType.F16}) {
      for (int pair = 0; pair < 1 << 22; pair += 257) {
        float a = 1 + (pair & 0x7FF) * 0x1p-11f;
        float b = 1 + (pair >>> 11) * 0x1p-11f;
        float x = Rounding.to(dtype, a);
        float y = Rounding.to(dtype, b);
        double exact = (double) x / y;
        float once = Rounding.to(dtype, x / y);
        int digits = dtype == DType.BF16 ? 8 : 11;
        double ulp = Math.scalb(1.0, Math.getExponent(exact) - digits + 1);
        // Nothing is nearer than what is at most half a unit away.
        assertThat(Math.abs(once - exact)).isLessThanOrEqualTo(ulp / 2);
      }
    }
  }
}
