package dev.quench.cuda.standin;

import static dev.quench.cuda.standin.Snippets.HALVES;
import static dev.quench.cuda.standin.Snippets.SHORTS;
import static dev.quench.cuda.standin.Snippets.bits;
import static dev.quench.cuda.standin.Snippets.values;
import static java.math.RoundingMode.HALF_EVEN;

import java.io.IOException;
import java.math.BigDecimal;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Arithmetic on f16 and bf16: the exact result, rounded once. */
final class HalfOpcodeTest {
  private static final List<long[]> ONE = List.of(SHORTS);
  private static final List<long[]> TWO = List.of(HALVES, HALVES);
  private static final long[] FEW =
      values(
          0, 0x8000, 1, 0x8001, 0x3C00, 0x3C01, 0x3F80, 0xBF81, 0x7BFF, 0x7F7F, 0x7C00, 0x7FC0,
          0x1234, 0x9ABC);

  private final Snippets snippets = new Snippets();

  private record Half(ShortFloat format, String type) {
    long sum(long a, long b) {
      return fma(a, one(), b);
    }

    long difference(long a, long b) {
      return Double.isNaN(format.value(b)) ? format.nan() : fma(a, one(), b ^ 0x8000);
    }

    private long one() {
      return format == ShortFloat.F16 ? 0x3C00 : 0x3F80;
    }

    long product(long a, long b) {
      double x = format.value(a);
      double y = format.value(b);
      if (!Double.isFinite(x) || !Double.isFinite(y)) {
        return format.round(x * y, HALF_EVEN, false);
      }
      boolean negative = ((a ^ b) & 0x8000) != 0;
      return format.round(
          new BigDecimal(x).multiply(new BigDecimal(y)), negative, HALF_EVEN, false);
    }

    long fma(long a, long b, long c) {
      double x = format.value(a);
      double y = format.value(b);
      double z = format.value(c);
      if (!Double.isFinite(x) || !Double.isFinite(y) || !Double.isFinite(z)) {
        return format.round(x * y + z, HALF_EVEN, false);
      }
      BigDecimal exact = new BigDecimal(x).multiply(new BigDecimal(y)).add(new BigDecimal(z));
      boolean negative =
          exact.signum() != 0
              ? exact.signum() < 0
              : ((a ^ b) & c & 0x8000) != 0 && z == 0; // −0 only as the sum of two
      return format.round(exact, negative, HALF_EVEN, false);
    }

    /** Minimum or maximum: a number wins against a NaN. */
    long choose(long a, long b, DoubleBinaryOperator which) {
      double x = format.value(a);
      double y = format.value(b);
      double chosen = Double.isNaN(x) ? y : Double.isNaN(y) ? x : which.applyAsDouble(x, y);
      return format.round(chosen, HALF_EVEN, false);
    }

    boolean less(long a, long b) {
      return format.value(a) < format.value(b);
    }
  }

  @TestFactory
  List<DynamicTest> arithmetic() throws IOException {
    for (Half half : List.of(new Half(ShortFloat.F16, "f16"), new Half(ShortFloat.BF16, "bf16"))) {
      String type = half.type();
      snippets
          .add('h', "add.rn.%s h0, h1, h2;".formatted(type), TWO, (a, b, c) -> half.sum(a, b))
          .add('h', "sub.%s h0, h1, h2;".formatted(type), TWO, (a, b, c) -> half.difference(a, b))
          .add('h', "mul.%s h0, h1, h2;".formatted(type), TWO, (a, b, c) -> half.product(a, b))
          .add('h', "fma.rn.%s h0, h1, h2, h3;".formatted(type), List.of(FEW, FEW, FEW), half::fma)
          .add(
              'h',
              "fma.rn.relu.%s h0, h1, h2, h3;".formatted(type),
              List.of(FEW, FEW, FEW),
              (a, b, c) -> relu(half, half.fma(a, b, c)))
          .add(
              'h',
              "min.%s h0, h1, h2;".formatted(type),
              TWO,
              (a, b, c) -> half.choose(a, b, Math::min))
          .add(
              'h',
              "max.%s h0, h1, h2;".formatted(type),
              TWO,
              (a, b, c) -> half.choose(a, b, Math::max))
          .add(
              'h',
              "max.NaN.%s h0, h1, h2;".formatted(type),
              TWO,
              (a, b, c) ->
                  half.format()
                      .round(
                          Math.max(half.format().value(a), half.format().value(b)),
                          HALF_EVEN,
                          false))
          .add('h', "abs.%s h0, h1;".formatted(type), ONE, (a, b, c) -> a & 0x7FFF)
          .add('h', "neg.%s h0, h1;".formatted(type), ONE, (a, b, c) -> a ^ 0x8000)
          .add(
              'r',
              "mov.b32 r4, {h1, h2}; mov.b32 r5, {h2, h2}; add.%sx2 r0, r4, r5;".formatted(type),
              TWO,
              (a, b, c) -> half.sum(b, b) << 16 | half.sum(a, b))
          .add(
              'r',
              "mov.b32 r4, {h1, h2}; mov.b32 r5, {h2, h1}; fma.rn.%1$sx2 r0, r4, r5, r5;"
                  .formatted(type),
              TWO,
              (a, b, c) -> half.fma(b, a, a) << 16 | half.fma(a, b, b))
          .add(
              'r',
              "mov.b32 r4, {h1, h2}; neg.%sx2 r0, r4;".formatted(type),
              TWO,
              (a, b, c) -> (b << 16 | a) ^ 0x80008000L)
          .add(
              'p',
              "setp.lt.%s p0, h1, h2;".formatted(type),
              TWO,
              (a, b, c) -> bits(half.less(a, b)))
          .add(
              'p',
              "mov.b32 r4, {h1, h2}; mov.b32 r5, {h2, h1}; setp.lt.%sx2 p1|p0, r4, r5;"
                  .formatted(type),
              TWO,
              (a, b, c) -> bits(half.less(b, a)));
    }
    snippets.add(
        'h',
        "add.sat.f16 h0, h1, h2;",
        TWO,
        (a, b, c) -> saturate(new Half(ShortFloat.F16, "f16").sum(a, b)));
    return snippets.tests();
  }

  private static long relu(Half half, long code) {
    double value = half.format().value(code);
    return Double.isNaN(value) ? half.format().nan() : (code & 0x8000) != 0 ? 0 : code;
  }

  private static long saturate(long code) {
    double value = ShortFloat.F16.value(code);
    return ShortFloat.F16.round(
        Double.isNaN(value) ? 0 : Math.clamp(value, 0, 1) + 0.0, HALF_EVEN, false);
  }
}
