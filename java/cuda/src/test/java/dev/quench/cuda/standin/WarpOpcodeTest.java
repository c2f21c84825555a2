package dev.quench.cuda.standin;

import static dev.quench.cuda.standin.Snippets.LANES;
import static dev.quench.cuda.standin.Snippets.bits;
import static dev.quench.cuda.standin.Snippets.unsigned;

import java.io.IOException;
import java.util.List;
import java.util.function.LongBinaryOperator;
import java.util.function.LongPredicate;
import java.util.stream.LongStream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Exchanges among lanes. The operand of each thread is its index. */
final class WarpOpcodeTest {
  private static final List<long[]> THREADS = List.of(LANES);
  private static final String VALUE = "mad.lo.u32 r4, r1, 7, 3; ";

  @TestFactory
  List<DynamicTest> shuffles() throws IOException {
    return new Snippets()
        .add(
            'r',
            VALUE + "shfl.sync.bfly.b32 r0, r4, 5, 31, -1;",
            THREADS,
            (a, b, c) -> value(a ^ 5))
        .add(
            'r',
            VALUE + "shfl.sync.down.b32 r0, r4, 3, 31, -1;",
            THREADS,
            (a, b, c) -> value(a % 32 + 3 < 32 ? a + 3 : a))
        .add(
            'r',
            VALUE + "shfl.sync.up.b32 r0, r4, 3, 0, -1;",
            THREADS,
            (a, b, c) -> value(a % 32 >= 3 ? a - 3 : a))
        .add(
            'p',
            VALUE + "shfl.sync.up.b32 r0|p0, r4, 3, 0, -1;",
            THREADS,
            (a, b, c) -> bits(a % 32 >= 3))
        .add(
            'p',
            VALUE + "shfl.sync.down.b32 r0|p0, r4, 4, 31, -1;",
            THREADS,
            (a, b, c) -> bits(a % 32 + 4 < 32))
        .add(
            'r',
            VALUE + "shfl.sync.idx.b32 r0, r4, 9, 31, -1;",
            THREADS,
            (a, b, c) -> value(a / 32 * 32 + 9))
        // Segments of 8 lanes: the mask 24 << 8 of CUDA's width 8.
        .add(
            'r',
            VALUE + "shfl.sync.idx.b32 r0, r4, 10, 6175, -1;",
            THREADS,
            (a, b, c) -> value(a / 8 * 8 + 2))
        .add(
            'r',
            VALUE + "shfl.sync.down.b32 r0, r4, 6, 6175, -1;",
            THREADS,
            (a, b, c) -> value(a % 8 + 6 < 8 ? a + 6 : a))
        .add(
            'r',
            VALUE + "shfl.sync.up.b32 r0, r4, 2, 6144, -1;",
            THREADS,
            (a, b, c) -> value(a % 8 >= 2 ? a - 2 : a))
        .add(
            'r',
            VALUE
                + "mov.u32 r0, 0; mov.u32 r5, %laneid; setp.lt.u32 p1, r5, 16; @!p1 bra SKIP; shfl.sync.bfly.b32 r0, r4, 1, 31, 65535; SKIP:",
            THREADS,
            (a, b, c) -> a % 32 < 16 ? value(a ^ 1) : 0)
        .tests();
  }

  @TestFactory
  List<DynamicTest> votesAndReductions() throws IOException {
    LongPredicate third = lane -> lane % 3 == 0;
    String predicate = "rem.u32 r4, r1, 3; setp.eq.u32 p1, r4, 0; ";
    return new Snippets()
        .add(
            'r',
            predicate + "vote.sync.ballot.b32 r0, p1, -1;",
            THREADS,
            (a, b, c) -> mask(a, third))
        .add('p', predicate + "vote.sync.any.pred p0, p1, -1;", THREADS, (a, b, c) -> 1)
        .add('p', predicate + "vote.sync.all.pred p0, !p1, -1;", THREADS, (a, b, c) -> 0)
        .add('p', "setp.lt.u32 p1, r1, 32; vote.sync.uni.pred p0, p1, -1;", THREADS, (a, b, c) -> 1)
        .add(
            'p',
            "setp.lt.u32 p1, r1, 40; vote.sync.uni.pred p0, p1, -1;",
            THREADS,
            (a, b, c) -> bits(a / 32 != 1))
        .add(
            'r',
            "shr.u32 r4, r1, 2; match.any.sync.b32 r0, r4, -1;",
            THREADS,
            (a, b, c) -> mask(a, lane -> lane / 4 == a / 4))
        .add(
            'r',
            "shr.u32 r4, r1, 5; cvt.u64.u32 x4, r4; match.all.sync.b64 r0, x4, -1;",
            THREADS,
            (a, b, c) -> 0xFFFFFFFFL)
        .add('p', "match.all.sync.b32 r0|p0, r1, -1;", THREADS, (a, b, c) -> 0)
        .add('r', "redux.sync.add.u32 r0, r1, -1;", THREADS, (a, b, c) -> fold(a, Long::sum))
        .add(
            'r',
            "sub.s32 r4, 16, r1; redux.sync.min.s32 r0, r4, -1;",
            THREADS,
            (a, b, c) -> unsigned((int) (16 - (a / 32 * 32 + 31))))
        .add('r', "redux.sync.max.u32 r0, r1, -1;", THREADS, (a, b, c) -> a / 32 * 32 + 31)
        .add('r', "redux.sync.xor.b32 r0, r1, -1;", THREADS, (a, b, c) -> fold(a, (x, y) -> x ^ y))
        .add('r', "redux.sync.or.b32 r0, r1, -1;", THREADS, (a, b, c) -> fold(a, (x, y) -> x | y))
        .add('r', "activemask.b32 r0; bar.warp.sync -1;", THREADS, (a, b, c) -> 0xFFFFFFFFL)
        .add('p', "elect.sync r4|p0, -1;", THREADS, (a, b, c) -> bits(a % 32 == 0))
        .add('r', "setp.lt.u32 p1, r1, 40; bar.red.popc.u32 r0, 0, p1;", THREADS, (a, b, c) -> 40)
        .add(
            'p',
            "setp.lt.u32 p1, r1, 95; barrier.cta.red.and.pred p0, 0, p1;",
            THREADS,
            (a, b, c) -> 0)
        .add('p', "setp.eq.u32 p1, r1, 95; bar.red.or.pred p0, 1, 96, p1;", THREADS, (a, b, c) -> 1)
        .tests();
  }

  private static long value(long lane) {
    return lane * 7 + 3;
  }

  /** The lanes of a thread's warp for which something holds, as bits. */
  private static long mask(long thread, LongPredicate holds) {
    return warp(thread).filter(holds).map(lane -> 1L << lane % 32).sum();
  }

  private static long fold(long thread, LongBinaryOperator join) {
    return warp(thread).reduce(join).orElseThrow();
  }

  private static LongStream warp(long thread) {
    return LongStream.range(thread / 32 * 32, thread / 32 * 32 + 32);
  }
}
