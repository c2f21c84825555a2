package dev.quench.cuda.standin;

import static dev.quench.cuda.standin.Snippets.INTS;
import static dev.quench.cuda.standin.Snippets.LANES;
import static dev.quench.cuda.standin.Snippets.LONGS;
import static dev.quench.cuda.standin.Snippets.unsigned;
import static dev.quench.cuda.standin.Snippets.values;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Loads, stores, state spaces, calls and atomics. */
final class MemoryOpcodeTest {
  private static final List<long[]> THREE = List.of(LONGS, LONGS, values(5));
  private static final List<long[]> THREADS = List.of(LANES);

  private static final String PRELUDE =
      """
      .const .align 4 .u32 squares[4] = {0, 1, 4, 9};
      .global .align 8 .b8 text[8] = {72, 105, 33, 0};
      .shared .align 4 .b32 row[128];
      .extern .shared .align 16 .b8 dynamic[];
      .func (.param .b32 result) twice(.param .b32 value, .param .align 4 .b8 pair[8])
      {
        .reg .b32 %r<6>;
        ld.param.u32 %r1, [value];
        ld.param.u32 %r2, [pair];
        ld.param.u32 %r3, [pair+4];
        mad.lo.u32 %r4, %r1, 2, %r2;
        sub.u32 %r4, %r4, %r3;
        st.param.b32 [result], %r4;
        ret;
      }
      """;

  @BeforeAll
  static void build() {
    PtxRunner.require();
  }

  @TestFactory
  List<DynamicTest> spaces() throws IOException {
    return new Snippets(PRELUDE)
        .add('x', "ld.global.v2.u64 {x4, x0}, [a2];", List.of(LONGS, LONGS), (a, b, c) -> b)
        .add(
            'r',
            "ld.global.nc.v4.u32 {r4, r5, r6, r7}, [a2+0]; xor.b32 r0, r5, r7;",
            THREE,
            (a, b, c) -> a >>> 32 ^ b >>> 32)
        .add(
            'r',
            "ld.global.L1::no_allocate.L2::128B.v2.u32 {r4, r0}, [a2+8];",
            THREE,
            (a, b, c) -> b >>> 32)
        .add('r', "ld.global.ca.s8 r0, [a2+3];", THREE, (a, b, c) -> unsigned((byte) (a >> 24)))
        .add('r', "ld.global.u8 r0, [a2+3];", THREE, (a, b, c) -> a >> 24 & 255)
        .add('x', "ld.global.s16 x0, [a2+2];", THREE, (a, b, c) -> (short) (a >> 16))
        .add('h', "ld.u16 h0, [a2+12];", THREE, (a, b, c) -> b >> 32 & 0xFFFF)
        .add('r', "ld.volatile.global.u32 r0, [a2+4];", THREE, (a, b, c) -> a >>> 32)
        .add('r', "ld.acquire.gpu.global.u32 r0, [a2+4];", THREE, (a, b, c) -> a >>> 32)
        .add(
            'x',
            "st.global.v2.u32 [a3], {r2, r1}; ld.global.u64 x0, [a3];",
            THREE,
            (a, b, c) -> a << 32 | b & 0xFFFFFFFFL)
        .add(
            'x',
            "st.global.u64 [a3], x1; st.global.u8 [a3+1], r2; st.global.cs.u16 [a3+6], h2; ld.global.u64 x0, [a3];",
            THREE,
            (a, b, c) -> a & 0x0000_FFFF_FFFF_00FFL | (b & 255) << 8 | b << 48)
        .add(
            'x',
            ".local .align 16 .b8 depot[32]; mov.u64 x4, depot; cvta.local.u64 x5, x4; st.local.v2.u64 [depot+16], {x1, x2}; add.s64 x6, x5, 16; ld.u64 x0, [x6+8];",
            THREE,
            (a, b, c) -> b)
        .add(
            'r',
            "and.b32 r4, r1, 3; mul.wide.u32 x4, r4, 4; mov.u64 x5, squares; add.s64 x4, x4, x5; ld.const.u32 r0, [x4];",
            List.of(INTS),
            (a, b, c) -> (a & 3) * (a & 3))
        .add('r', "ld.const.u32 r0, [squares+12];", List.of(INTS), (a, b, c) -> 9)
        .add(
            'r',
            "mov.u64 x4, text; cvta.global.u64 x4, x4; ld.u32 r0, [x4];",
            List.of(INTS),
            (a, b, c) -> 0x216948)
        .add(
            'r',
            "mov.u32 r4, %tid.x; mov.u32 r5, row; mad.lo.u32 r5, r4, 4, r5; st.shared.u32 [r5], r1; bar.sync 0; xor.b32 r4, r4, 1; mov.u32 r5, row; mad.lo.u32 r5, r4, 4, r5; ld.shared.u32 r0, [r5];",
            THREADS,
            (a, b, c) -> a ^ 1)
        .add(
            'r',
            "mov.u64 x4, row; cvta.shared.u64 x4, x4; mov.u32 r4, %tid.x; mad.wide.u32 x4, r4, 4, x4; st.u32 [x4], r1; cvta.to.shared.u64 x5, x4; ld.shared.u32 r0, [x5]; bar.sync 0;",
            THREADS,
            (a, b, c) -> a)
        .add(
            'p',
            "mov.u64 x4, row; cvta.shared.u64 x4, x4; isspacep.shared p1, x4; isspacep.global p2, a2; and.pred p0, p1, p2;",
            THREADS,
            (a, b, c) -> 1)
        .add(
            'r',
            "{ .param .b32 v; .param .align 4 .b8 pair[8]; .param .b32 back; st.param.b32 [v], r1; st.param.b32 [pair], r2; st.param.b32 [pair+4], 7; call.uni (back), twice, (v, pair); ld.param.b32 r0, [back]; }",
            List.of(INTS, INTS),
            (a, b, c) -> unsigned((int) (2 * a + b - 7)))
        .add(
            'r',
            "mov.u32 r0, 99; and.b32 r4, r1, 3; TABLE: .branchtargets ZERO, ONE, TWO, THREE; brx.idx r4, TABLE; ZERO: mov.u32 r0, 10; bra END; ONE: mov.u32 r0, 11; bra END; TWO: mov.u32 r0, 12; bra END; THREE: mov.u32 r0, 13; END:",
            List.of(INTS),
            (a, b, c) -> 10 + (a & 3))
        .add(
            'r',
            "mov.u32 r0, 0; mov.u32 r4, 0; LOOP: add.u32 r0, r0, r4; add.u32 r4, r4, 1; setp.le.u32 p1, r4, 10; @p1 bra LOOP;",
            List.of(INTS),
            (a, b, c) -> 55)
        .add(
            'r',
            "mov.u32 r0, %ntid.x; mov.u32 r4, %laneid; mov.u32 r5, %warpid; mad.lo.u32 r0, r5, 32, r4; mov.u32 r4, WARP_SZ; add.u32 r0, r0, r4;",
            THREADS,
            (a, b, c) -> a + 32)
        .add('r', "mov.u32 r0, %lanemask_lt;", THREADS, (a, b, c) -> (1L << a % 32) - 1)
        .add('r', "mov.u32 r0, %lanemask_ge;", THREADS, (a, b, c) -> -(1L << a % 32) & 0xFFFFFFFFL)
        .tests();
  }

  /** What all threads do to one word, and that each sees a state of its own. */
  @Test
  void atomics() throws IOException {
    String ptx =
        """
        .version 8.0
        .target sm_80
        .address_size 64
        .visible .entry count(.param .u64 sums, .param .u64 seen)
        {
          .reg .pred %p<4>;
          .reg .b32 %r<16>;
          .reg .f32 %f<4>;
          .reg .b64 %rd<8>;
          .shared .align 4 .b32 total;
          ld.param.u64 %rd1, [sums];
          ld.param.u64 %rd2, [seen];
          mov.u32 %r1, %tid.x;
          mov.u32 %r2, %ctaid.x;
          mov.u32 %r3, %ntid.x;
          mad.lo.u32 %r4, %r2, %r3, %r1;
          atom.global.add.u32 %r5, [%rd1], 1;
          mul.wide.u32 %rd3, %r4, 4;
          add.s64 %rd4, %rd2, %rd3;
          st.global.u32 [%rd4], %r5;
          red.global.max.s32 [%rd1+4], %r4;
          neg.s32 %r6, %r4;
          atom.global.min.s32 %r7, [%rd1+8], %r6;
          red.global.or.b32 [%rd1+12], %r4;
          atom.global.inc.u32 %r7, [%rd1+16], 9;
          mov.f32 %f1, 0f3F000000;
          red.global.add.f32 [%rd1+20], %f1;
          cvt.u64.u32 %rd5, %r4;
          red.global.add.u64 [%rd1+24], %rd5;
        AGAIN:
          ld.global.u32 %r8, [%rd1+32];
          add.u32 %r9, %r8, 2;
          atom.global.cas.b32 %r10, [%rd1+32], %r8, %r9;
          setp.ne.u32 %p1, %r10, %r8;
          @%p1 bra AGAIN;
          mov.u32 %r11, total;
          setp.eq.u32 %p2, %r1, 0;
          @%p2 st.shared.u32 [%r11], 0;
          bar.sync 0;
          atom.shared.add.u32 %r12, [%r11], %r1;
          bar.sync 0;
          @!%p2 bra END;
          ld.shared.u32 %r13, [total];
          red.global.add.u32 [%rd1+36], %r13;
          atom.global.exch.b32 %r14, [%rd1+40], 77;
        END:
          ret;
        }
        """;
    int blocks = 6;
    int threads = 64;
    int all = blocks * threads;
    assertThat(PtxRunner.compile(ptx).untranslated()).isEmpty();
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      var sums = runner.buffer(new int[12]);
      var seen = runner.buffer(new int[all]);
      runner.launch("count", blocks, threads, 0, sums, seen);
      int[] states = runner.ints(seen, all);
      Arrays.sort(states);
      assertThat(states).isEqualTo(java.util.stream.IntStream.range(0, all).toArray());
      int[] result = runner.ints(sums, 12);
      assertThat(result[0]).isEqualTo(all);
      assertThat(result[1]).isEqualTo(all - 1);
      assertThat(result[2]).isEqualTo(1 - all);
      assertThat(result[3]).isEqualTo(511);
      assertThat(result[4]).isEqualTo(all % 10);
      assertThat(Float.intBitsToFloat(result[5])).isEqualTo(all / 2f);
      assertThat(result[6]).isEqualTo(all * (all - 1) / 2);
      assertThat(result[8]).isEqualTo(2 * all);
      assertThat(result[9]).isEqualTo(blocks * threads * (threads - 1) / 2);
      assertThat(result[10]).isEqualTo(77);
    }
  }
}
