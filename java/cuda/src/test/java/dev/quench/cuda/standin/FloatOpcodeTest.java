package dev.quench.cuda.standin;

import static dev.quench.cuda.standin.Snippets.DOUBLES;
import static dev.quench.cuda.standin.Snippets.FEW_FLOATS;
import static dev.quench.cuda.standin.Snippets.FLOATS;
import static dev.quench.cuda.standin.Snippets.NAN;
import static dev.quench.cuda.standin.Snippets.bits;
import static dev.quench.cuda.standin.Snippets.d;
import static dev.quench.cuda.standin.Snippets.f;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Arithmetic on f32 and f64. To nearest, Java computes the same; other rounding modes are held to
 * exact decimal arithmetic.
 */
final class FloatOpcodeTest {
  private static final List<long[]> ONE = List.of(FLOATS);
  private static final List<long[]> TWO = List.of(FLOATS, FLOATS);
  private static final List<long[]> THREE = List.of(FEW_FLOATS, FEW_FLOATS, FEW_FLOATS);

  private final Snippets snippets = new Snippets();

  @TestFactory
  List<DynamicTest> toNearest() throws IOException {
    snippets
        .add('f', "add.f32 f0, f1, f2;", TWO, (a, b, c) -> bits(f(a) + f(b)))
        .add('f', "sub.rn.f32 f0, f1, f2;", TWO, (a, b, c) -> bits(f(a) - f(b)))
        .add('f', "mul.f32 f0, f1, f2;", TWO, (a, b, c) -> bits(f(a) * f(b)))
        .add(
            'f', "fma.rn.f32 f0, f1, f2, f3;", THREE, (a, b, c) -> bits(Math.fma(f(a), f(b), f(c))))
        .add(
            'f',
            "mul.f32 f4, f1, f2; add.f32 f0, f4, f3;",
            THREE,
            (a, b, c) -> bits(f(a) * f(b) + f(c)))
        .add('f', "div.rn.f32 f0, f1, f2;", TWO, (a, b, c) -> bits(f(a) / f(b)))
        .add('f', "rcp.rn.f32 f0, f1;", ONE, (a, b, c) -> bits(1 / f(a)))
        .add('f', "sqrt.rn.f32 f0, f1;", ONE, (a, b, c) -> bits((float) Math.sqrt(f(a))))
        .add('d', "add.f64 d0, d1, d2;", List.of(DOUBLES, DOUBLES), (a, b, c) -> raw(d(a) + d(b)))
        .add(
            'd', "mul.rn.f64 d0, d1, d2;", List.of(DOUBLES, DOUBLES), (a, b, c) -> raw(d(a) * d(b)))
        .add(
            'd', "div.rn.f64 d0, d1, d2;", List.of(DOUBLES, DOUBLES), (a, b, c) -> raw(d(a) / d(b)))
        .add(
            'd',
            "fma.rn.f64 d0, d1, d2, d1;",
            List.of(DOUBLES, DOUBLES),
            (a, b, c) -> raw(Math.fma(d(a), d(b), d(a))))
        .add('f', "add.f32 f0, f1, 0f3F800000;", ONE, (a, b, c) -> bits(f(a) + 1))
        .add(
            'd',
            "mul.f64 d0, d1, 0dC000000000000000;",
            List.of(DOUBLES),
            (a, b, c) -> raw(d(a) * -2))
        .add(
            'f',
            "add.ftz.f32 f0, f1, f2;",
            TWO,
            (a, b, c) -> bits(flush(flush(f(a)) + flush(f(b)))))
        .add(
            'f',
            "mul.ftz.f32 f0, f1, f2;",
            TWO,
            (a, b, c) -> bits(flush(flush(f(a)) * flush(f(b)))))
        .add('f', "add.sat.f32 f0, f1, f2;", TWO, (a, b, c) -> bits(saturate(f(a) + f(b))))
        .add(
            'f',
            "fma.rn.sat.f32 f0, f1, f2, f3;",
            THREE,
            (a, b, c) -> bits(saturate(Math.fma(f(a), f(b), f(c)))));
    return snippets.tests();
  }

  @TestFactory
  List<DynamicTest> directed() throws IOException {
    List<long[]> two = List.of(FEW_FLOATS, FEW_FLOATS);
    for (Directed mode : Directed.values()) {
      String name = mode.name();
      snippets
          .add(
              'f', "add.%s.f32 f0, f1, f2;".formatted(name), two, (a, b, c) -> mode.sum(f(a), f(b)))
          .add(
              'f',
              "mul.%s.f32 f0, f1, f2;".formatted(name),
              two,
              (a, b, c) -> mode.product(f(a), f(b)))
          .add(
              'f',
              "fma.%s.f32 f0, f1, f2, f3;".formatted(name),
              THREE,
              (a, b, c) -> mode.fma(f(a), f(b), f(c)))
          .add(
              'f',
              "div.%s.f32 f0, f1, f2;".formatted(name),
              two,
              (a, b, c) -> mode.quotient(f(a), f(b)));
    }
    return snippets.tests();
  }

  @TestFactory
  List<DynamicTest> signsAndComparisons() throws IOException {
    snippets
        .add('f', "abs.f32 f0, f1;", ONE, (a, b, c) -> a & 0x7FFFFFFF)
        .add('f', "neg.f32 f0, f1;", ONE, (a, b, c) -> a ^ 0x80000000L)
        .add('f', "copysign.f32 f0, f1, f2;", TWO, (a, b, c) -> a & 0x80000000L | b & 0x7FFFFFFF)
        .add('d', "neg.f64 d0, d1;", List.of(DOUBLES), (a, b, c) -> a ^ Long.MIN_VALUE)
        .add('f', "min.f32 f0, f1, f2;", TWO, (a, b, c) -> minimum(f(a), f(b)))
        .add('f', "max.f32 f0, f1, f2;", TWO, (a, b, c) -> maximum(f(a), f(b)))
        .add('f', "min.NaN.f32 f0, f1, f2;", TWO, (a, b, c) -> bits(Math.min(f(a), f(b))))
        .add('f', "max.NaN.f32 f0, f1, f2;", TWO, (a, b, c) -> bits(Math.max(f(a), f(b))))
        .add('f', "max.xorsign.abs.f32 f0, f1, f2;", TWO, (a, b, c) -> xorSign(a, b))
        .add('f', "max.ftz.f32 f0, f1, f2;", TWO, (a, b, c) -> maximum(flush(f(a)), flush(f(b))))
        .add(
            'p',
            "testp.subnormal.f32 p0, f1;",
            ONE,
            (a, b, c) -> bits((a & 0x7F800000) == 0 && (a & 0x7FFFFF) != 0))
        .add('p', "testp.notanumber.f32 p0, f1;", ONE, (a, b, c) -> bits(Float.isNaN(f(a))))
        .add('p', "testp.finite.f32 p0, f1;", ONE, (a, b, c) -> bits(Float.isFinite(f(a))))
        .add('p', "setp.lt.f32 p0, f1, f2;", TWO, (a, b, c) -> bits(f(a) < f(b)))
        .add('p', "setp.ge.f32 p0, f1, f2;", TWO, (a, b, c) -> bits(f(a) >= f(b)))
        .add(
            'p',
            "setp.eq.f64 p0, d1, d2;",
            List.of(DOUBLES, DOUBLES),
            (a, b, c) -> bits(d(a) == d(b)))
        .add('p', "setp.ne.f32 p0, f1, f2;", TWO, (a, b, c) -> bits(f(a) < f(b) || f(a) > f(b)))
        .add('p', "setp.neu.f32 p0, f1, f2;", TWO, (a, b, c) -> bits(f(a) != f(b)))
        .add('p', "setp.equ.f32 p0, f1, f2;", TWO, (a, b, c) -> bits(!(f(a) < f(b) || f(a) > f(b))))
        .add('p', "setp.gtu.f32 p0, f1, f2;", TWO, (a, b, c) -> bits(!(f(a) <= f(b))))
        .add('p', "setp.leu.f32 p0, f1, f2;", TWO, (a, b, c) -> bits(!(f(a) > f(b))))
        .add('p', "setp.ltu.f32 p0, f1, f2;", TWO, (a, b, c) -> bits(!(f(a) >= f(b))))
        .add('p', "setp.geu.f32 p0, f1, f2;", TWO, (a, b, c) -> bits(!(f(a) < f(b))))
        .add(
            'p',
            "setp.num.f32 p0, f1, f2;",
            TWO,
            (a, b, c) -> bits(!Float.isNaN(f(a)) && !Float.isNaN(f(b))))
        .add(
            'p',
            "setp.nan.f32 p0, f1, f2;",
            TWO,
            (a, b, c) -> bits(Float.isNaN(f(a)) || Float.isNaN(f(b))))
        .add('p', "setp.gt.ftz.f32 p0, f1, f2;", TWO, (a, b, c) -> bits(flush(f(a)) > flush(f(b))))
        .add('r', "set.gt.f32.f32 r0, f1, f2;", TWO, (a, b, c) -> f(a) > f(b) ? 0x3F800000 : 0)
        .add(
            'f',
            "setp.gt.f32 p1, f1, f2; selp.f32 f0, f1, f2, p1;",
            TWO,
            (a, b, c) -> f(a) > f(b) ? a : b)
        .add('f', "slct.f32.f32 f0, f1, f2, f3;", THREE, (a, b, c) -> f(c) >= 0 ? a : b);
    return snippets.tests();
  }

  /** Without perturbation the approximations are the exact values, rounded. */
  @TestFactory
  List<DynamicTest> approximations() throws IOException {
    snippets
        .add('f', "rcp.approx.f32 f0, f1;", ONE, (a, b, c) -> exactly(x -> 1 / x, a))
        .add(
            'f',
            "rcp.approx.ftz.f32 f0, f1;",
            ONE,
            (a, b, c) -> bits(flush((float) (1 / (double) flush(f(a))))))
        .add('f', "sqrt.approx.f32 f0, f1;", ONE, (a, b, c) -> exactly(Math::sqrt, a))
        .add('f', "rsqrt.approx.f32 f0, f1;", ONE, (a, b, c) -> exactly(x -> 1 / Math.sqrt(x), a))
        .add('f', "div.full.f32 f0, f1, f2;", TWO, (a, b, c) -> bits(f(a) / f(b)))
        .add('f', "div.approx.f32 f0, f1, f2;", TWO, (a, b, c) -> approximateQuotient(f(a), f(b)));
    return snippets.tests();
  }

  private static long exactly(DoubleUnaryOperator function, long bits) {
    return bits((float) function.applyAsDouble(f(bits)));
  }

  /** PTX: divisors above 2^126 give 0, or NaN for an infinite dividend. */
  private static long approximateQuotient(float a, float b) {
    if (Math.abs(b) > 0x1p126f && Float.isFinite(b) && !Float.isNaN(a)) {
      return Float.isInfinite(a) ? NAN : bits(Math.signum(b) * Math.copySign(0f, a));
    }
    return bits(a / b);
  }

  private static long raw(double value) {
    return Double.doubleToLongBits(value); // with one NaN
  }

  private static float flush(float value) {
    return Math.abs(value) < Float.MIN_NORMAL ? Math.copySign(0f, value) : value;
  }

  private static float saturate(float value) {
    return Float.isNaN(value) ? 0 : Math.clamp(value, 0f, 1f) + 0f;
  }

  private static long minimum(float a, float b) {
    return bits(Float.isNaN(a) ? b : Float.isNaN(b) ? a : Math.min(a, b));
  }

  private static long maximum(float a, float b) {
    return bits(Float.isNaN(a) ? b : Float.isNaN(b) ? a : Math.max(a, b));
  }

  private static long xorSign(long a, long b) {
    long magnitude = maximum(Math.abs(f(a)), Math.abs(f(b)));
    return magnitude == NAN ? NAN : magnitude | (a ^ b) & 0x80000000L;
  }

  /** A rounding mode other than to nearest, by decimal arithmetic. */
  private enum Directed {
    rz(RoundingMode.DOWN),
    rm(RoundingMode.FLOOR),
    rp(RoundingMode.CEILING);

    private final RoundingMode mode;

    Directed(RoundingMode mode) {
      this.mode = mode;
    }

    long sum(float a, float b) {
      return fma(a, 1, b);
    }

    long product(float a, float b) {
      return Float.isFinite(a) && Float.isFinite(b) && a != 0 && b != 0
          ? round(exact(a).multiply(exact(b)), a * b)
          : bits(a * b);
    }

    long fma(float a, float b, float c) {
      if (!Float.isFinite(a) || !Float.isFinite(b) || !Float.isFinite(c)) {
        return bits(Math.fma(a, b, c));
      }
      BigDecimal exact = exact(a).multiply(exact(b)).add(exact(c));
      if (exact.signum() != 0) {
        return round(exact, Math.fma(a, b, c));
      }
      float product = Math.signum(Math.copySign(1f, a) * Math.copySign(1f, b));
      boolean sameSign = product == Math.copySign(1f, c);
      return bits(sameSign ? Math.copySign(0f, c) : mode == RoundingMode.FLOOR ? -0f : 0f);
    }

    long quotient(float a, float b) {
      if (!Float.isFinite(a) || !Float.isFinite(b) || b == 0 || a == 0) {
        return bits(a / b);
      }
      // 200 digits tell any quotient of two floats from its neighbours.
      MathContext context = new MathContext(200, mode);
      return round(exact(a).divide(exact(b), context), a / b);
    }

    private static BigDecimal exact(float value) {
      return new BigDecimal(value);
    }

    /** The float on the right side of an exact value, found from a float next to it. */
    private long round(BigDecimal exact, float near) {
      float result = Float.isInfinite(near) ? Math.copySign(Float.MAX_VALUE, near) : near;
      boolean down = mode == RoundingMode.FLOOR || mode == RoundingMode.DOWN && exact.signum() > 0;
      while (Float.isFinite(result)
          && (down ? exact(result).compareTo(exact) > 0 : exact(result).compareTo(exact) < 0)) {
        result = down ? Math.nextDown(result) : Math.nextUp(result);
      }
      return bits(result);
    }
  }
}
