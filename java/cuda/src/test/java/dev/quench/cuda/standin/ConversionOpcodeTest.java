package dev.quench.cuda.standin;

import static dev.quench.cuda.standin.Snippets.DOUBLES;
import static dev.quench.cuda.standin.Snippets.FLOATS;
import static dev.quench.cuda.standin.Snippets.INTS;
import static dev.quench.cuda.standin.Snippets.LONGS;
import static dev.quench.cuda.standin.Snippets.SHORTS;
import static dev.quench.cuda.standin.Snippets.bits;
import static dev.quench.cuda.standin.Snippets.d;
import static dev.quench.cuda.standin.Snippets.f;
import static dev.quench.cuda.standin.Snippets.unsigned;
import static java.math.RoundingMode.CEILING;
import static java.math.RoundingMode.DOWN;
import static java.math.RoundingMode.FLOOR;
import static java.math.RoundingMode.HALF_EVEN;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** {@code cvt}: integers against BigInteger, short formats against the lists of their numbers. */
final class ConversionOpcodeTest {
  private static final List<long[]> FLOAT = List.of(FLOATS);
  private static final List<long[]> TWO_FLOATS = List.of(FLOATS, FLOATS);
  private static final List<long[]> LONG = List.of(LONGS);
  private static final List<long[]> INT = List.of(INTS);
  private static final List<long[]> DOUBLE = List.of(DOUBLES);
  private static final List<long[]> SHORT = List.of(SHORTS);

  private final Snippets snippets = new Snippets();

  @TestFactory
  List<DynamicTest> integers() throws IOException {
    snippets
        .add('x', "cvt.s64.s32 x0, r1;", INT, (a, b, c) -> (int) a)
        .add('x', "cvt.u64.u32 x0, r1;", INT, (a, b, c) -> a)
        .add('r', "cvt.s32.s8 r0, r1;", INT, (a, b, c) -> unsigned((byte) a))
        .add('r', "cvt.u32.u8 r0, r1;", INT, (a, b, c) -> a & 255)
        .add('r', "cvt.s32.s16 r0, h1;", INT, (a, b, c) -> unsigned((short) a))
        .add('h', "cvt.s8.s32 h0, r1;", INT, (a, b, c) -> (byte) a & 0xFFFF)
        .add('h', "cvt.u8.u32 h0, r1;", INT, (a, b, c) -> a & 255)
        .add('r', "cvt.u32.u64 r0, x1;", LONG, (a, b, c) -> a & 0xFFFFFFFFL)
        .add(
            'r',
            "cvt.sat.s32.s64 r0, x1;",
            LONG,
            (a, b, c) -> unsigned((int) Math.clamp(a, Integer.MIN_VALUE, Integer.MAX_VALUE)))
        .add(
            'h',
            "cvt.sat.s8.s32 h0, r1;",
            INT,
            (a, b, c) -> Math.clamp((int) a, -128, 127) & 0xFFFF)
        .add('h', "cvt.sat.u8.s32 h0, r1;", INT, (a, b, c) -> Math.clamp((int) a, 0, 255))
        .add('h', "cvt.sat.u16.u32 h0, r1;", INT, (a, b, c) -> Math.min(a, 0xFFFF))
        .add('r', "cvt.sat.u32.s32 r0, r1;", INT, (a, b, c) -> Math.max((int) a, 0));
    return snippets.tests();
  }

  @TestFactory
  List<DynamicTest> realsAndIntegers() throws IOException {
    for (Object[] mode :
        new Object[][] {{"rni", HALF_EVEN}, {"rzi", DOWN}, {"rmi", FLOOR}, {"rpi", CEILING}}) {
      RoundingMode rounding = (RoundingMode) mode[1];
      snippets
          .add(
              'r',
              "cvt.%s.s32.f32 r0, f1;".formatted(mode),
              FLOAT,
              (a, b, c) -> whole(f(a), rounding, 32, true))
          .add(
              'r',
              "cvt.%s.u32.f32 r0, f1;".formatted(mode),
              FLOAT,
              (a, b, c) -> whole(f(a), rounding, 32, false))
          .add(
              'x',
              "cvt.%s.s64.f32 x0, f1;".formatted(mode),
              FLOAT,
              (a, b, c) -> whole(f(a), rounding, 64, true))
          .add(
              'x',
              "cvt.%s.u64.f64 x0, d1;".formatted(mode),
              DOUBLE,
              (a, b, c) -> whole(d(a), rounding, 64, false))
          .add(
              'r',
              "cvt.%s.s32.f64 r0, d1;".formatted(mode),
              DOUBLE,
              (a, b, c) -> Double.isNaN(d(a)) ? 0x8000_0000L : whole(d(a), rounding, 32, true))
          .add(
              'f',
              "cvt.%s.f32.f32 f0, f1;".formatted(mode),
              FLOAT,
              (a, b, c) -> integral(f(a), rounding));
    }
    snippets
        .add(
            'h',
            "cvt.rni.s8.f32 h0, f1;",
            FLOAT,
            (a, b, c) -> whole(f(a), HALF_EVEN, 8, true) & 0xFFFF)
        .add(
            'r',
            "cvt.rni.ftz.s32.f32 r0, f1;",
            FLOAT,
            (a, b, c) -> whole(f(a), HALF_EVEN, 32, true))
        .add('f', "cvt.rn.f32.s32 f0, r1;", INT, (a, b, c) -> bits((float) (int) a))
        .add('f', "cvt.rn.f32.u32 f0, r1;", INT, (a, b, c) -> bits((float) a))
        .add('f', "cvt.rn.f32.s64 f0, x1;", LONG, (a, b, c) -> bits((float) a))
        .add(
            'f',
            "cvt.rn.f32.u64 f0, x1;",
            LONG,
            (a, b, c) -> bits(new BigInteger(Long.toUnsignedString(a)).floatValue()))
        .add('f', "cvt.rn.f32.s8 f0, r1;", INT, (a, b, c) -> bits((float) (byte) a))
        .add(
            'f',
            "cvt.rz.f32.s32 f0, r1;",
            INT,
            (a, b, c) -> directed(BigDecimal.valueOf((int) a), (float) (int) a, DOWN))
        .add(
            'f',
            "cvt.rp.f32.u32 f0, r1;",
            INT,
            (a, b, c) -> directed(BigDecimal.valueOf(a), (float) a, CEILING))
        .add(
            'd',
            "cvt.rn.f64.s64 d0, x1;",
            LONG,
            (a, b, c) -> Double.doubleToRawLongBits((double) a))
        .add('d', "cvt.f64.f32 d0, f1;", FLOAT, (a, b, c) -> Double.doubleToLongBits(f(a)))
        .add('f', "cvt.rn.f32.f64 f0, d1;", DOUBLE, (a, b, c) -> bits((float) d(a)))
        .add(
            'f',
            "cvt.sat.f32.f32 f0, f1;",
            FLOAT,
            (a, b, c) -> bits(Float.isNaN(f(a)) ? 0 : Math.clamp(f(a), 0f, 1f) + 0f))
        .add(
            'f',
            "cvt.ftz.f32.f32 f0, f1;",
            FLOAT,
            (a, b, c) -> bits(Math.abs(f(a)) < Float.MIN_NORMAL ? Math.copySign(0f, f(a)) : f(a)));
    return snippets.tests();
  }

  @TestFactory
  List<DynamicTest> halves() throws IOException {
    ShortFloat f16 = ShortFloat.F16;
    ShortFloat bf16 = ShortFloat.BF16;
    snippets
        .add('f', "cvt.f32.f16 f0, h1;", SHORT, (a, b, c) -> bits((float) f16.value(a)))
        .add('f', "cvt.f32.bf16 f0, h1;", SHORT, (a, b, c) -> bits((float) bf16.value(a)))
        .add('h', "cvt.rn.f16.f32 h0, f1;", FLOAT, (a, b, c) -> f16.round(f(a), HALF_EVEN, false))
        .add('h', "cvt.rz.f16.f32 h0, f1;", FLOAT, (a, b, c) -> f16.round(f(a), DOWN, false))
        .add('h', "cvt.rm.f16.f32 h0, f1;", FLOAT, (a, b, c) -> f16.round(f(a), FLOOR, false))
        .add('h', "cvt.rp.f16.f32 h0, f1;", FLOAT, (a, b, c) -> f16.round(f(a), CEILING, false))
        .add(
            'h',
            "cvt.rn.satfinite.f16.f32 h0, f1;",
            FLOAT,
            (a, b, c) -> f16.round(f(a), HALF_EVEN, true))
        .add(
            'h',
            "cvt.rn.relu.f16.f32 h0, f1;",
            FLOAT,
            (a, b, c) ->
                Float.isNaN(f(a)) ? f16.nan() : f16.round(Math.max(f(a), 0f), HALF_EVEN, false))
        .add('h', "cvt.rn.bf16.f32 h0, f1;", FLOAT, (a, b, c) -> bf16.round(f(a), HALF_EVEN, false))
        .add('h', "cvt.rz.bf16.f32 h0, f1;", FLOAT, (a, b, c) -> bf16.round(f(a), DOWN, false))
        .add(
            'r',
            "cvt.rn.f16x2.f32 r0, f1, f2;",
            TWO_FLOATS,
            (a, b, c) ->
                f16.round(f(a), HALF_EVEN, false) << 16 | f16.round(f(b), HALF_EVEN, false))
        .add(
            'r',
            "cvt.rn.bf16x2.f32 r0, f1, f2;",
            TWO_FLOATS,
            (a, b, c) ->
                bf16.round(f(a), HALF_EVEN, false) << 16 | bf16.round(f(b), HALF_EVEN, false))
        .add('h', "cvt.rn.f16.f64 h0, d1;", DOUBLE, (a, b, c) -> f16.round(d(a), HALF_EVEN, false))
        .add(
            'h',
            "cvt.rn.f16.s32 h0, r1;",
            INT,
            (a, b, c) -> f16.round((double) (int) a, HALF_EVEN, false))
        .add(
            'h',
            "cvt.rn.f16.u64 h0, x1;",
            LONG,
            (a, b, c) ->
                f16.round(new BigDecimal(Long.toUnsignedString(a)), false, HALF_EVEN, false))
        .add(
            'h',
            "cvt.rn.bf16.s64 h0, x1;",
            LONG,
            (a, b, c) -> bf16.round(BigDecimal.valueOf(a), a < 0, HALF_EVEN, false))
        .add(
            'r', "cvt.rzi.s32.f16 r0, h1;", SHORT, (a, b, c) -> whole(f16.value(a), DOWN, 32, true))
        .add('h', "cvt.rni.f16.f16 h0, h1;", SHORT, (a, b, c) -> integral(f16, a));
    return snippets.tests();
  }

  @TestFactory
  List<DynamicTest> packedEighths() throws IOException {
    for (ShortFloat format : List.of(ShortFloat.E4M3, ShortFloat.E5M2)) {
      String name = format == ShortFloat.E4M3 ? "e4m3x2" : "e5m2x2";
      snippets
          .add(
              'h',
              "cvt.rn.satfinite.%s.f32 h0, f1, f2;".formatted(name),
              TWO_FLOATS,
              (a, b, c) ->
                  format.round(f(a), HALF_EVEN, true) << 8 | format.round(f(b), HALF_EVEN, true))
          .add(
              'h',
              "cvt.rn.satfinite.%s.f16x2 h0, r1;".formatted(name),
              SHORT,
              (a, b, c) ->
                  format.round(0, HALF_EVEN, true) << 8
                      | format.round(ShortFloat.F16.value(a), HALF_EVEN, true))
          .add(
              'r',
              "cvt.rn.f16x2.%s r0, h1;".formatted(name),
              SHORT,
              (a, b, c) -> half(format.value(a >> 8)) << 16 | half(format.value(a & 255)));
    }
    snippets
        .add('r', "cvt.rna.tf32.f32 r0, f1;", FLOAT, (a, b, c) -> tf32(a, true))
        .add('r', "cvt.rn.tf32.f32 r0, f1;", FLOAT, (a, b, c) -> tf32(a, false));
    return snippets.tests();
  }

  private static long half(double value) {
    return ShortFloat.F16.round(value, HALF_EVEN, false);
  }

  /** The nearest number of 10 mantissa bits; ties away from zero or to even. */
  private static long tf32(long bits, boolean away) {
    float value = f(bits);
    if (Float.isNaN(value)) {
      return 0x7FFFE000L;
    }
    if (Float.isInfinite(value)) {
      return bits;
    }
    long low = bits & ~0x1FFFL;
    long rest = bits & 0x1FFF;
    boolean up = rest > 0x1000 || rest == 0x1000 && (away || (low & 0x2000) != 0);
    return up ? low + 0x2000 : low;
  }

  /** NaN becomes 0, or the lowest number where the result has 64 bits. */
  private static long whole(double value, RoundingMode mode, int bits, boolean isSigned) {
    if (Double.isNaN(value)) {
      return bits == 64 ? Long.MIN_VALUE : 0;
    }
    BigInteger least = isSigned ? BigInteger.ONE.shiftLeft(bits - 1).negate() : BigInteger.ZERO;
    BigInteger most = BigInteger.ONE.shiftLeft(isSigned ? bits - 1 : bits).subtract(BigInteger.ONE);
    BigInteger exact =
        Double.isInfinite(value)
            ? (value > 0 ? most : least)
            : new BigDecimal(value).setScale(0, mode).toBigInteger();
    long result = exact.max(least).min(most).longValue();
    return bits == 64 ? result : result & 0xFFFFFFFFL;
  }

  private static long integral(float value, RoundingMode mode) {
    if (!Float.isFinite(value)) {
      return bits(value);
    }
    float whole = new BigDecimal(value).setScale(0, mode).floatValue();
    return bits(Math.copySign(whole, value));
  }

  private static long integral(ShortFloat format, long code) {
    double value = format.value(code);
    if (!Double.isFinite(value)) {
      return format.round(value, HALF_EVEN, false);
    }
    double whole = new BigDecimal(value).setScale(0, HALF_EVEN).doubleValue();
    return format.round(Math.copySign(whole, value), HALF_EVEN, false);
  }

  private static long directed(BigDecimal exact, float near, RoundingMode mode) {
    int order = new BigDecimal(near).compareTo(exact);
    boolean down = mode == DOWN && exact.signum() > 0;
    if (down && order > 0) {
      return bits(Math.nextDown(near));
    }
    return bits(!down && order < 0 ? Math.nextUp(near) : near);
  }
}
