package dev.quench.cuda.standin;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.DynamicTest;

/**
 * Tests of single instructions: each snippet of PTX becomes a kernel of one module, runs for all
 * combinations of some operands, and is held to a function in Java.
 *
 * <p>A snippet reads {@code x1, x2, x3} (64 bits), or their lower parts {@code r1 …} (32), {@code
 * h1 …} (16), {@code f1 …} (f32), {@code d1 …} (f64). It sets {@code x0}, {@code r0}, {@code h0},
 * {@code f0}, {@code d0} or {@code p0}, as the letter of its result says. The operands are also in
 * memory at {@code a2}, where there are 32 bytes for each thread, and its result's place is at
 * {@code a3}.
 */
final class Snippets {
  private static final int THREADS = 128;
  private static final String INDENT = "  ";

  /** What a snippet must compute, from the 64 bits of its operands to those of its result. */
  interface Expected {
    long of(long x1, long x2, long x3);
  }

  private record Snippet(
      String name, char result, String ptx, List<long[]> operands, Expected expected) {}

  private final List<Snippet> snippets = new ArrayList<>();
  private final String prelude;

  Snippets() {
    this("");
  }

  /**
   * @param prelude variables and functions of the module
   */
  Snippets(String prelude) {
    this.prelude = prelude;
  }

  /** Adds a snippet that is run for all combinations of these operands. */
  Snippets add(char result, String ptx, List<long[]> choices, Expected expected) {
    String name = "snippet" + snippets.size();
    snippets.add(new Snippet(name, result, ptx, combinations(choices), expected));
    return this;
  }

  private static List<long[]> combinations(List<long[]> choices) {
    List<long[]> combinations = new ArrayList<>();
    combinations.add(new long[3]);
    for (int i = 0; i < choices.size(); i++) {
      List<long[]> longer = new ArrayList<>();
      for (long[] combination : combinations) {
        for (long value : choices.get(i)) {
          long[] copy = combination.clone();
          copy[i] = value;
          longer.add(copy);
        }
      }
      combinations = longer;
    }
    return combinations;
  }

  /** One test a snippet. */
  List<DynamicTest> tests() throws IOException {
    String module =
        ".version 8.0\n.target sm_90a\n.address_size 64\n"
            + prelude
            + snippets.stream().map(Snippets::kernel).collect(Collectors.joining());
    assertThat(PtxRunner.compile(module).untranslated()).isEmpty();
    return snippets.stream()
        .map(s -> DynamicTest.dynamicTest(s.ptx().strip(), () -> check(module, s)))
        .toList();
  }

  private static String kernel(Snippet snippet) {
    StringBuilder text = new StringBuilder();
    text.append(".visible .entry " + snippet.name());
    text.append("(.param .u64 in, .param .u64 out, .param .u64 size)\n{\n");
    text.append("  .reg .pred p<8>;\n  .reg .b16 h<16>;\n  .reg .b32 r<16>, i<4>;\n");
    text.append("  .reg .f32 f<16>;\n  .reg .f64 d<16>;\n  .reg .b64 x<16>, a<8>;\n");
    text.append(
        """
          mov.u32 i0, %tid.x;
          mov.u32 i1, %ctaid.x;
          mov.u32 i2, %ntid.x;
          mad.lo.u32 i0, i1, i2, i0;
          ld.param.u64 a0, [size];
          ld.u64 a0, [a0];
          cvt.u64.u32 a1, i0;
          setp.ge.u64 p7, a1, a0;
          @p7 bra DONE;
          ld.param.u64 a2, [in];
          mad.lo.u64 a2, a1, 32, a2;
          ld.param.u64 a3, [out];
          mad.lo.u64 a3, a1, 8, a3;
        """);
    for (int k = 1; k <= 3; k++) {
      text.append(
          """
            ld.global.u64 x%1$d, [a2+%2$d];
            cvt.u32.u64 r%1$d, x%1$d;
            cvt.u16.u64 h%1$d, x%1$d;
            mov.b32 f%1$d, r%1$d;
            mov.b64 d%1$d, x%1$d;
          """
              .formatted(k, 8 * (k - 1)));
    }
    text.append(INDENT + snippet.ptx() + "\n");
    text.append(
        switch (snippet.result()) {
          case 'x' -> "";
          case 'r' -> "  cvt.u64.u32 x0, r0;\n";
          case 'h' -> "  cvt.u64.u16 x0, h0;\n";
          case 'f' -> "  mov.b32 r0, f0;\n  cvt.u64.u32 x0, r0;\n";
          case 'd' -> "  mov.b64 x0, d0;\n";
          case 'p' -> "  selp.u64 x0, 1, 0, p0;\n";
          default -> throw new IllegalArgumentException("result " + snippet.result());
        });
    return text.append("  st.global.u64 [a3], x0;\nDONE:\n  ret;\n}\n").toString();
  }

  private static void check(String module, Snippet snippet) {
    int count = snippet.operands().size();
    long[] in =
        snippet.operands().stream()
            .flatMapToLong(x -> LongStream.of(x[0], x[1], x[2], 0))
            .toArray();
    long[] actual;
    try (PtxRunner runner = PtxRunner.load(module)) {
      var out = runner.buffer(new long[count]);
      int blocks = Math.ceilDiv(count, THREADS);
      runner.launch(
          snippet.name(),
          blocks,
          THREADS,
          0,
          runner.buffer(in),
          out,
          runner.buffer(new long[] {count}));
      actual = runner.longs(out, count);
    }
    List<String> wrong = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      long[] x = snippet.operands().get(i);
      long expected = snippet.expected().of(x[0], x[1], x[2]);
      if (actual[i] != expected) {
        wrong.add(
            String.format(
                Locale.ROOT, "%x %x %x: %x instead of %x", x[0], x[1], x[2], actual[i], expected));
      }
    }
    assertThat(wrong.stream().limit(8).toList()).as(snippet.ptx()).isEmpty();
  }

  // ---- operands

  static long[] values(long... values) {
    return values;
  }

  /** Boundary values of 64-bit integers, and a few others. */
  static final long[] LONGS = {
    0,
    1,
    2,
    3,
    7,
    31,
    32,
    33,
    63,
    64,
    255,
    0x7FFF_FFFFL,
    0x8000_0000L,
    0xFFFF_FFFFL,
    0x1_0000_0000L,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    -1,
    -2,
    0x0123_4567_89AB_CDEFL,
    0xFEDC_BA98_7654_3210L
  };

  /** Boundary values of 32-bit integers, which 16-bit tests use too. */
  static final long[] INTS = {
    0,
    1,
    2,
    3,
    5,
    31,
    32,
    33,
    127,
    128,
    255,
    256,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x1_0000,
    0x7FFF_FFFFL,
    0x8000_0000L,
    0x8000_0001L,
    0xFFFF_FFFEL,
    0xFFFF_FFFFL,
    0x1234_5678L,
    0x9ABC_DEF0L
  };

  /** Amounts of shifts and places of fields. */
  static final long[] AMOUNTS = {0, 1, 5, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256};

  private static final float[] FLOAT_VALUES = {
    0f,
    -0f,
    1f,
    -1f,
    0.5f,
    1.5f,
    2.5f,
    -2.5f,
    3f,
    0.1f,
    1 / 3f,
    255.5f,
    256f,
    448f,
    464f,
    465f,
    57344f,
    61440f,
    65504f,
    65519f,
    65520f,
    1e-3f,
    6.1e-5f,
    5.97e-8f,
    2.98e-8f,
    2.9802322e-8f,
    0x1p-9f,
    0x1.8p-10f,
    0x1p-126f,
    0x1p-127f,
    Float.MIN_VALUE,
    -Float.MIN_VALUE,
    0x1.fffffep-127f,
    Float.MAX_VALUE,
    -Float.MAX_VALUE,
    2147483647f,
    -2147483648f,
    4294967296f,
    9.3e18f,
    1.9e19f,
    3.14159265f,
    1.0000001f,
    0x1.01p0f,
    0x1.03p0f,
    0x1.002p0f,
    0x1.006p0f,
    0x1.ffp3f,
    1e10f,
    -1e-10f,
    Float.POSITIVE_INFINITY,
    Float.NEGATIVE_INFINITY,
    Float.NaN
  };

  /** Boundary values of f32, as bits; among them ties of the shorter formats. */
  static final long[] FLOATS = floats();

  private static long[] floats() {
    long[] bits = new long[FLOAT_VALUES.length + 2];
    for (int i = 0; i < FLOAT_VALUES.length; i++) {
      bits[i] = bits(FLOAT_VALUES[i]);
    }
    bits[FLOAT_VALUES.length] = 0xFFFFFFFFL; // NaNs with other payloads
    bits[FLOAT_VALUES.length + 1] = 0x7F800001L;
    return bits;
  }

  /** A third of {@link #FLOATS}, for three operands. */
  static final long[] FEW_FLOATS = pick(FLOATS, i -> i % 3 == 0 || i >= FLOATS.length - 4);

  private static long[] pick(long[] values, IntPredicate which) {
    return IntStream.range(0, values.length).filter(which).mapToLong(i -> values[i]).toArray();
  }

  /** The same values as f64, and some that f32 can't hold. */
  static final long[] DOUBLES = doubles();

  private static long[] doubles() {
    List<Double> values = new ArrayList<>();
    for (float value : FLOAT_VALUES) {
      values.add((double) value);
    }
    values.addAll(
        List.of(
            0.1, 1e300, -1e300, 1e-310, 1 + 0x1p-52, 1 + 0x1p-24, 1 + 0x1.8p-24, 0x1p62, 0x1p63));
    return values.stream().mapToLong(Double::doubleToRawLongBits).toArray();
  }

  /** The indices of the threads of some warps, one operand a thread. */
  static final long[] LANES = LongStream.range(0, 96).toArray();

  /** All 2^16 bit patterns. */
  static final long[] SHORTS = LongStream.range(0, 1 << 16).toArray();

  /** Some 16-bit patterns that are boundary values of f16 and of bf16. */
  static final long[] HALVES = {
    0, 0x8000, 1, 0x8001, 0x3FF, 0x400, 0x7F, 0x80, 0x3C00, 0xBC00, 0x3C01, 0x3F80, 0xBF80, 0x3F81,
    0x3555, 0x3EAB, 0x7BFF, 0xFBFF, 0x7F7F, 0xFF7F, 0x7C00, 0xFC00, 0x7C01, 0x7F80, 0xFF80, 0x7FC0,
    0x7FFF, 0xFFFF, 0x4248, 0x4049, 0x0411, 0x2E66, 0x5800, 0x4B00
  };

  // ---- results

  static final long NAN = 0x7FFF_FFFFL;

  static float f(long bits) {
    return Float.intBitsToFloat((int) bits);
  }

  static double d(long bits) {
    return Double.longBitsToDouble(bits);
  }

  /** The bits of a result: hardware makes one NaN. */
  static long bits(float value) {
    return Float.isNaN(value) ? NAN : Integer.toUnsignedLong(Float.floatToRawIntBits(value));
  }

  static long bits(boolean value) {
    return value ? 1 : 0;
  }

  static long unsigned(int value) {
    return Integer.toUnsignedLong(value);
  }
}
