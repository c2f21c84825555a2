package dev.quench.cuda.standin;

import static dev.quench.cuda.standin.Snippets.AMOUNTS;
import static dev.quench.cuda.standin.Snippets.INTS;
import static dev.quench.cuda.standin.Snippets.LONGS;
import static dev.quench.cuda.standin.Snippets.bits;
import static dev.quench.cuda.standin.Snippets.unsigned;
import static dev.quench.cuda.standin.Snippets.values;

import java.io.IOException;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Integer arithmetic and operations on bits, against Java's and BigInteger's. */
final class IntegerOpcodeTest {
  private static final List<long[]> TWO = List.of(INTS, INTS);
  private static final List<long[]> TWO_LONG = List.of(LONGS, LONGS);
  private static final long MASK16 = 0xFFFF;

  private final Snippets snippets = new Snippets();

  @TestFactory
  List<DynamicTest> arithmetic() throws IOException {
    snippets
        .add('r', "add.s32 r0, r1, r2;", TWO, (a, b, c) -> unsigned((int) a + (int) b))
        .add('r', "add.sat.s32 r0, r1, r2;", TWO, (a, b, c) -> clamp((long) (int) a + (int) b))
        .add('r', "sub.sat.s32 r0, r1, r2;", TWO, (a, b, c) -> clamp((long) (int) a - (int) b))
        .add('x', "add.s64 x0, x1, -9;", List.of(LONGS), (a, b, c) -> a - 9)
        .add('h', "sub.s16 h0, h1, h2;", TWO, (a, b, c) -> a - b & MASK16)
        .add('h', "mul.lo.u16 h0, h1, h2;", TWO, (a, b, c) -> a * b & MASK16)
        .add('r', "mul.lo.s32 r0, r1, r2;", TWO, (a, b, c) -> unsigned((int) a * (int) b))
        .add('r', "mul.hi.s32 r0, r1, r2;", TWO, (a, b, c) -> high((long) (int) a * (int) b))
        .add('r', "mul.hi.u32 r0, r1, r2;", TWO, (a, b, c) -> a * b >>> 32)
        .add('x', "mul.hi.s64 x0, x1, x2;", TWO_LONG, (a, b, c) -> Math.multiplyHigh(a, b))
        .add('x', "mul.hi.u64 x0, x1, x2;", TWO_LONG, (a, b, c) -> Math.unsignedMultiplyHigh(a, b))
        .add('x', "mul.wide.s32 x0, r1, r2;", TWO, (a, b, c) -> (long) (int) a * (int) b)
        .add('x', "mul.wide.u32 x0, r1, r2;", TWO, (a, b, c) -> a * b)
        .add('r', "mul.wide.s16 r0, h1, h2;", TWO, (a, b, c) -> unsigned((short) a * (short) b))
        .add('r', "mul.wide.u16 r0, h1, h2;", TWO, (a, b, c) -> (a & MASK16) * (b & MASK16))
        .add('r', "mad.lo.s32 r0, r1, r2, r1;", TWO, (a, b, c) -> unsigned((int) (a * b + a)))
        .add(
            'r',
            "mad.hi.u32 r0, r1, r2, 7;",
            TWO,
            (a, b, c) -> unsigned((int) ((a * b >>> 32) + 7)))
        .add('x', "mad.wide.s32 x0, r1, r2, x1;", TWO, (a, b, c) -> (long) (int) a * (int) b + a)
        .add(
            'r',
            "mul24.lo.u32 r0, r1, r2;",
            TWO,
            (a, b, c) -> unsigned((int) ((a & 0xFFFFFF) * (b & 0xFFFFFF))))
        .add(
            'r',
            "mul24.hi.s32 r0, r1, r2;",
            TWO,
            (a, b, c) -> unsigned((int) (signed24(a) * signed24(b) >> 16)))
        .add(
            'r',
            "mad24.lo.s32 r0, r1, r2, r2;",
            TWO,
            (a, b, c) -> unsigned((int) (signed24(a) * signed24(b) + b)))
        .add(
            'r',
            "sad.s32 r0, r1, r2, 3;",
            TWO,
            (a, b, c) -> unsigned((int) (Math.abs((long) (int) a - (int) b) + 3)))
        .add(
            'r', "sad.u32 r0, r1, r2, r1;", TWO, (a, b, c) -> unsigned((int) (Math.abs(a - b) + a)))
        .add(
            'r',
            "div.s32 r0, r1, r2;",
            List.of(INTS, nonZero(INTS)),
            (a, b, c) -> unsigned((int) a / (int) b))
        .add('r', "div.u32 r0, r1, r2;", List.of(INTS, nonZero(INTS)), (a, b, c) -> a / b)
        .add('x', "div.s64 x0, x1, x2;", List.of(LONGS, nonZero(LONGS)), (a, b, c) -> a / b)
        .add(
            'x',
            "rem.u64 x0, x1, x2;",
            List.of(LONGS, nonZero(LONGS)),
            (a, b, c) -> Long.remainderUnsigned(a, b))
        .add(
            'r',
            "rem.s32 r0, r1, r2;",
            List.of(INTS, nonZero(INTS)),
            (a, b, c) -> unsigned((int) a % (int) b))
        .add(
            'h',
            "div.s16 h0, h1, h2;",
            List.of(INTS, values(1, 2, 0xFFFF, 300)),
            (a, b, c) -> (short) a / (short) b & MASK16)
        .add('r', "abs.s32 r0, r1;", List.of(INTS), (a, b, c) -> unsigned(Math.abs((int) a)))
        .add('x', "neg.s64 x0, x1;", List.of(LONGS), (a, b, c) -> -a)
        .add('h', "neg.s16 h0, h1;", List.of(INTS), (a, b, c) -> -a & MASK16)
        .add('r', "min.s32 r0, r1, r2;", TWO, (a, b, c) -> unsigned(Math.min((int) a, (int) b)))
        .add('r', "max.u32 r0, r1, r2;", TWO, (a, b, c) -> Math.max(a, b))
        .add(
            'x',
            "min.u64 x0, x1, x2;",
            TWO_LONG,
            (a, b, c) -> Long.compareUnsigned(a, b) < 0 ? a : b)
        .add('h', "max.s16 h0, h1, h2;", TWO, (a, b, c) -> Math.max((short) a, (short) b) & MASK16)
        .add('r', "dp4a.s32.s32 r0, r1, r2, r1;", TWO, (a, b, c) -> dot(a, b, true, true))
        .add('r', "dp4a.u32.s32 r0, r1, r2, r1;", TWO, (a, b, c) -> dot(a, b, false, true))
        .add('r', "dp4a.u32.u32 r0, r1, r2, r1;", TWO, (a, b, c) -> dot(a, b, false, false));
    carries();
    return snippets.tests();
  }

  /** 128-bit sums and products, as nvcc makes them of 64-bit halves, and 64-bit ones of 32. */
  private void carries() {
    snippets
        .add(
            'x',
            "add.cc.u64 x3, x1, x2; addc.u64 x0, x1, x2;",
            TWO_LONG,
            (a, b, c) -> big(a, a).add(big(b, b)).shiftRight(64).longValue())
        .add(
            'x',
            "sub.cc.u64 x3, x1, x2; subc.u64 x0, x2, x1;",
            TWO_LONG,
            (a, b, c) -> big(b, a).subtract(big(a, b)).shiftRight(64).longValue())
        .add(
            'r',
            "mad.lo.cc.u32 r3, r1, r2, r1; madc.hi.u32 r0, r1, r2, r2;",
            TWO,
            (a, b, c) -> unsigned((int) (a * b + a + (b << 32) >>> 32)));
  }

  @TestFactory
  List<DynamicTest> bitOperations() throws IOException {
    List<long[]> shifted = List.of(INTS, AMOUNTS);
    List<long[]> shiftedLong = List.of(LONGS, AMOUNTS);
    snippets
        .add('r', "and.b32 r0, r1, r2;", TWO, (a, b, c) -> a & b)
        .add('x', "or.b64 x0, x1, 5;", List.of(LONGS), (a, b, c) -> a | 5)
        .add('h', "xor.b16 h0, h1, h2;", TWO, (a, b, c) -> (a ^ b) & MASK16)
        .add('h', "not.b16 h0, h1;", List.of(INTS), (a, b, c) -> ~a & MASK16)
        .add('r', "cnot.b32 r0, r1;", List.of(INTS), (a, b, c) -> bits(a == 0))
        .add('r', "shl.b32 r0, r1, r2;", shifted, (a, b, c) -> b > 31 ? 0 : unsigned((int) a << b))
        .add('r', "shr.u32 r0, r1, r2;", shifted, (a, b, c) -> b > 31 ? 0 : a >>> b)
        .add('r', "shr.s32 r0, r1, r2;", shifted, (a, b, c) -> unsigned((int) a >> Math.min(b, 31)))
        .add('x', "shl.b64 x0, x1, r2;", shiftedLong, (a, b, c) -> b > 63 ? 0 : a << b)
        .add('x', "shr.s64 x0, x1, r2;", shiftedLong, (a, b, c) -> a >> Math.min(b, 63))
        .add(
            'h', "shr.s16 h0, h1, r2;", shifted, (a, b, c) -> (short) a >> Math.min(b, 15) & MASK16)
        .add('h', "shl.b16 h0, h1, r2;", shifted, (a, b, c) -> b > 15 ? 0 : a << b & MASK16)
        .add(
            'r',
            "shf.l.wrap.b32 r0, r1, r2, r3;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> (b << 32 | a) << (c & 31) >>> 32)
        .add(
            'r',
            "shf.r.clamp.b32 r0, r1, r2, r3;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> (b << 32 | a) >>> Math.min(c, 32) & 0xFFFFFFFFL)
        .add(
            'r',
            "shf.l.clamp.b32 r0, r1, r2, r3;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> c > 31 ? a : (b << 32 | a) << c >>> 32)
        .add('r', "popc.b32 r0, r1;", List.of(INTS), (a, b, c) -> Long.bitCount(a))
        .add('r', "popc.b64 r0, x1;", List.of(LONGS), (a, b, c) -> Long.bitCount(a))
        .add(
            'r',
            "clz.b32 r0, r1;",
            List.of(INTS),
            (a, b, c) -> Integer.numberOfLeadingZeros((int) a))
        .add('r', "clz.b64 r0, x1;", List.of(LONGS), (a, b, c) -> Long.numberOfLeadingZeros(a))
        .add(
            'r',
            "bfind.u32 r0, r1;",
            List.of(INTS),
            (a, b, c) -> unsigned(31 - Integer.numberOfLeadingZeros((int) a)))
        .add(
            'r',
            "bfind.s64 r0, x1;",
            List.of(LONGS),
            (a, b, c) -> unsigned(63 - Long.numberOfLeadingZeros(a < 0 ? ~a : a)))
        .add(
            'r',
            "bfind.shiftamt.u32 r0, r1;",
            List.of(INTS),
            (a, b, c) -> a == 0 ? 0xFFFFFFFFL : Integer.numberOfLeadingZeros((int) a))
        .add(
            'r', "brev.b32 r0, r1;", List.of(INTS), (a, b, c) -> unsigned(Integer.reverse((int) a)))
        .add('x', "brev.b64 x0, x1;", List.of(LONGS), (a, b, c) -> Long.reverse(a))
        .add(
            'r',
            "bfe.u32 r0, r1, r2, r3;",
            List.of(INTS, AMOUNTS, AMOUNTS),
            (a, b, c) -> field(BigInteger.valueOf(a), b, c).longValue())
        .add(
            'r',
            "bfe.s32 r0, r1, r2, r3;",
            List.of(INTS, AMOUNTS, AMOUNTS),
            (a, b, c) -> unsigned(signedField(BigInteger.valueOf((int) a), b, c, 31).intValue()))
        .add(
            'x',
            "bfe.s64 x0, x1, r2, r3;",
            List.of(LONGS, AMOUNTS, AMOUNTS),
            (a, b, c) -> signedField(BigInteger.valueOf(a), b, c, 63).longValue())
        .add(
            'r',
            "bfi.b32 r0, r1, r2, r3, 7;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> insert(a, b, c, 7))
        .add(
            'r',
            "bfi.b32 r0, r1, r2, 4, r3;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> insert(a, b, 4, c))
        .add(
            'r',
            "prmt.b32 r0, r1, r2, r3;",
            List.of(INTS, INTS, values(0, 0x3210, 0x7654, 0xFEDC, 0x5140, 0x9A3F)),
            (a, b, c) -> permute(a, b, c))
        .add(
            'r',
            "prmt.b32.f4e r0, r1, r2, r3;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> permute(a, b, new long[] {0x3210, 0x4321, 0x5432, 0x6543}[(int) c & 3]))
        .add(
            'r',
            "prmt.b32.b4e r0, r1, r2, r3;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> permute(a, b, new long[] {0x5670, 0x6701, 0x7012, 0x0123}[(int) c & 3]))
        .add(
            'r',
            "prmt.b32.rc8 r0, r1, r2, r3;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> permute(a, b, 0x1111 * (c & 3)))
        .add(
            'r',
            "prmt.b32.ecl r0, r1, r2, r3;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> permute(a, b, new long[] {0x3210, 0x3211, 0x3222, 0x3333}[(int) c & 3]))
        .add(
            'r',
            "prmt.b32.ecr r0, r1, r2, r3;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> permute(a, b, new long[] {0x0000, 0x1110, 0x2210, 0x3210}[(int) c & 3]))
        .add(
            'r',
            "prmt.b32.rc16 r0, r1, r2, r3;",
            List.of(INTS, INTS, AMOUNTS),
            (a, b, c) -> permute(a, b, (c & 1) == 0 ? 0x1010 : 0x3232))
        .add(
            'r',
            "lop3.b32 r0, r1, r2, r3, 0x96;",
            List.of(INTS, INTS, INTS),
            (a, b, c) -> a ^ b ^ c)
        .add(
            'r',
            "lop3.b32 r0, r1, r2, r3, 0xCA;",
            List.of(INTS, INTS, INTS),
            (a, b, c) -> a & b | ~a & c & 0xFFFFFFFFL)
        .add(
            'r',
            "lop3.b32 r0, r1, r2, r3, 0x40;",
            List.of(INTS, INTS, INTS),
            (a, b, c) -> a & b & ~c);
    return snippets.tests();
  }

  @TestFactory
  List<DynamicTest> comparisonsAndSelections() throws IOException {
    snippets
        .add('p', "setp.lt.s32 p0, r1, r2;", TWO, (a, b, c) -> bits((int) a < (int) b))
        .add('p', "setp.lt.u32 p0, r1, r2;", TWO, (a, b, c) -> bits(a < b))
        .add(
            'p',
            "setp.hs.u64 p0, x1, x2;",
            TWO_LONG,
            (a, b, c) -> bits(Long.compareUnsigned(a, b) >= 0))
        .add('p', "setp.ls.u32 p0, r1, r2;", TWO, (a, b, c) -> bits(a <= b))
        .add('p', "setp.ne.b16 p0, h1, h2;", TWO, (a, b, c) -> bits((short) a != (short) b))
        .add('p', "setp.ge.s16 p0, h1, h2;", TWO, (a, b, c) -> bits((short) a >= (short) b))
        .add(
            'p',
            "setp.eq.s32 p1, r1, 1; setp.gt.and.s32 p0, r2, 3, !p1;",
            TWO,
            (a, b, c) -> bits((int) b > 3 && a != 1))
        .add(
            'p',
            "setp.eq.s32 p1, r1, 1; setp.gt.or.s32 p2|p0, r2, 3, p1;",
            TWO,
            (a, b, c) -> bits(!((int) b > 3) || a == 1))
        .add(
            'p',
            "setp.eq.s32 p1, r1, r2; setp.lt.xor.s32 p0, r1, 5, p1;",
            TWO,
            (a, b, c) -> bits((int) a < 5 != (a == b)))
        .add(
            'p',
            "setp.eq.s32 p1, r1, r2; setp.ne.s32 p2, r1, 0; and.pred p0, p1, p2; not.pred p0, p0;",
            TWO,
            (a, b, c) -> bits(!(a == b && a != 0)))
        .add(
            'r',
            "set.gt.u32.s32 r0, r1, r2;",
            TWO,
            (a, b, c) -> (int) a > (int) b ? 0xFFFFFFFFL : 0)
        .add(
            'r',
            "setp.lt.u32 p1, r1, r2; selp.b32 r0, r1, 77, p1;",
            TWO,
            (a, b, c) -> a < b ? a : 77)
        .add(
            'x',
            "setp.lt.u32 p1, r1, r2; selp.s64 x0, -1, x1, !p1;",
            TWO,
            (a, b, c) -> a < b ? a : -1)
        .add(
            'r',
            "slct.u32.s32 r0, r1, r2, r3;",
            List.of(INTS, INTS, INTS),
            (a, b, c) -> (int) c >= 0 ? a : b)
        .add(
            'r',
            "setp.eq.u32 p1, r1, r2; mov.u32 r0, 1; @p1 mov.u32 r0, 2; @!p1 add.u32 r0, r0, 9;",
            TWO,
            (a, b, c) -> a == b ? 2 : 10)
        .add('x', "mov.b64 x0, {r1, r2};", TWO, (a, b, c) -> b << 32 | a)
        .add('r', "mov.b64 {r5, r0}, x1;", List.of(LONGS), (a, b, c) -> a >>> 32)
        .add('r', "mov.b64 {_, r0}, x1;", List.of(LONGS), (a, b, c) -> a >>> 32)
        .add('r', "mov.b32 r0, {h1, h2};", TWO, (a, b, c) -> (b & MASK16) << 16 | a & MASK16)
        .add(
            'x',
            "mov.b64 x0, {h1, h2, h1, h2};",
            TWO,
            (a, b, c) -> 0x1_0000_0001L * ((b & MASK16) << 16 | a & MASK16))
        .add(
            'r',
            "{ .reg .b32 r4; .reg .pred p; setp.gt.u32 p, r1, 9; mov.u32 r4, 5; @p bra SKIP; add.u32 r4, r4, 1; SKIP: mov.u32 r0, r4; } { .reg .pred p; setp.eq.u32 p, r0, 5; @p bra SKIP; add.u32 r0, r0, 100; SKIP: }",
            List.of(INTS),
            (a, b, c) -> a > 9 ? 5 : 106);
    return snippets.tests();
  }

  private static long clamp(long value) {
    return unsigned((int) Math.clamp(value, Integer.MIN_VALUE, Integer.MAX_VALUE));
  }

  private static long high(long product) {
    return product >>> 32;
  }

  private static long signed24(long value) {
    return (int) (value << 8) >> 8;
  }

  private static long[] nonZero(long[] values) {
    return Arrays.stream(values).filter(v -> v != 0).toArray();
  }

  private static long dot(long a, long b, boolean aSigned, boolean bSigned) {
    long sum = (int) a;
    for (int i = 0; i < 4; i++) {
      int x = (int) (a >> 8 * i) & 255;
      int y = (int) (b >> 8 * i) & 255;
      sum += (long) (aSigned ? (byte) x : x) * (bSigned ? (byte) y : y);
    }
    return unsigned((int) sum);
  }

  private static BigInteger big(long high, long low) {
    return unsignedBig(high).shiftLeft(64).add(unsignedBig(low));
  }

  private static BigInteger unsignedBig(long value) {
    return new BigInteger(Long.toUnsignedString(value));
  }

  /** Bits {@code start … start + length − 1}, with zeros above the value. */
  private static BigInteger field(BigInteger value, long start, long length) {
    int from = (int) start & 255;
    int count = (int) length & 255;
    return value.shiftRight(from).and(BigInteger.ONE.shiftLeft(count).subtract(BigInteger.ONE));
  }

  /** The same of a signed value: BigInteger's infinite sign is what PTX asks for. */
  private static BigInteger signedField(BigInteger value, long start, long length, int top) {
    int from = (int) start & 255;
    int count = (int) length & 255;
    if (count == 0) {
      return BigInteger.ZERO;
    }
    BigInteger field = field(value, start, length);
    boolean negative = value.testBit(Math.min(from + count - 1, top));
    return negative ? field.subtract(BigInteger.ONE.shiftLeft(count)) : field;
  }

  private static long insert(long field, long into, long start, long length) {
    int from = (int) start & 255;
    int count = (int) length & 255;
    BigInteger mask = BigInteger.ONE.shiftLeft(count).subtract(BigInteger.ONE).shiftLeft(from);
    BigInteger result =
        unsignedBig(into).andNot(mask).or(unsignedBig(field).shiftLeft(from).and(mask));
    return result.longValue() & 0xFFFFFFFFL;
  }

  private static long permute(long a, long b, long selectors) {
    long bytes = b << 32 | a;
    long result = 0;
    for (int i = 0; i < 4; i++) {
      int selector = (int) (selectors >> 4 * i) & 15;
      byte value = (byte) (bytes >> 8 * (selector & 7));
      int replicated = selector > 7 ? value >> 7 : value;
      result |= (long) (replicated & 255) << 8 * i;
    }
    return result;
  }
}
