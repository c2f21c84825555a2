package dev.quench.cuda.standin;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.util.stream.IntStream;
import jcuda.CudaException;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Bulk copies (TMA) with the mbarriers that count them, and cp.async. */
final class TensorCopyOpcodeTest {
  private static final int COLUMNS = 48;
  private static final int ROWS = 20;
  private static final int BOX_ROWS = 8;
  private static final int INT32 = 3; // CU_TENSOR_MAP_DATA_TYPE_INT32

  /** A box goes to shared memory and from there, as bytes, to {@code out}; then back by a store. */
  private static final String BOX =
      """
      .version 8.0
      .target sm_90a
      .address_size 64
      .extern .shared .align 1024 .b8 memory[];
      .visible .entry box(.param .align 64 .b8 map[128], .param .align 64 .b8 target[128],
          .param .u64 out, .param .u64 place)
      {
        .reg .pred %p<4>;
        .reg .b32 %r<16>;
        .reg .b64 %rd<12>;
        .shared .align 8 .b64 full;
        mov.u32 %r1, %tid.x;
        mov.u32 %r2, full;
        mov.u32 %r3, memory;
        ld.param.u64 %rd1, [out];
        ld.param.u64 %rd2, [place];
        ld.global.v2.s32 {%r4, %r5}, [%rd2];
        ld.global.u32 %r6, [%rd2+8];
        mov.b64 %rd3, map;
        cvta.param.u64 %rd3, %rd3;
        mov.b64 %rd4, target;
        setp.ne.u32 %p1, %r1, 0;
        @%p1 bra READY;
        mbarrier.init.shared::cta.b64 [%r2], 1;
        fence.mbarrier_init.release.cluster;
        mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], %r6;
        cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r3], [%rd3, {%r4, %r5}], [%r2];
      READY:
        bar.sync 0;
      WAIT:
        mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0;
        @!%p2 bra WAIT;
        mov.u32 %r7, %r1;
      COPY:
        shl.b32 %r8, %r7, 2;
        add.u32 %r9, %r3, %r8;
        ld.shared.u32 %r10, [%r9];
        mad.wide.u32 %rd5, %r7, 4, %rd1;
        st.global.u32 [%rd5], %r10;
        add.u32 %r7, %r7, 32;
        shl.b32 %r8, %r7, 2;
        setp.lt.u32 %p3, %r8, %r6;
        @%p3 bra COPY;
        bar.sync 0;
        @%p1 bra END;
        cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%rd4, {%r4, %r5}], [%r3];
        cp.async.bulk.commit_group;
        cp.async.bulk.wait_group.read 0;
      END:
        ret;
      }
      """;

  @BeforeAll
  static void build() {
    PtxRunner.require();
  }

  private record Box(int x, int y, int columns, int swizzle) {
    int words() {
      return columns * BOX_ROWS;
    }

    /** The element at a place of the tile: rows of the box, 16-byte units exchanged. */
    int place(int row, int column) {
      int bytes = 4 * (row * columns + column);
      int mask = (1 << swizzle) - 1;
      return (bytes ^ (bytes >> 7 & mask) << 4) / 4;
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0,0,16,0",
    "8,4,8,1",
    "16,12,16,2",
    "16,3,32,3",
    "-4,-2,16,0",
    "32,16,32,3",
    "60,0,16,0"
  })
  void copiesBoxes(int x, int y, int columns, int swizzle) throws IOException {
    Box box = new Box(x, y, columns, swizzle);
    assertThat(PtxRunner.compile(BOX).untranslated()).isEmpty();
    int[] tensor = IntStream.rangeClosed(1, COLUMNS * ROWS).toArray();
    int[] tile;
    int[] copied;
    try (PtxRunner runner = PtxRunner.load(BOX)) {
      CUdeviceptr out = runner.buffer(new int[box.words()]);
      CUdeviceptr target = runner.buffer(new int[COLUMNS * ROWS]);
      launch(runner, box, runner.buffer(tensor), target, out, 4 * box.words());
      tile = runner.ints(out, box.words());
      copied = runner.ints(target, COLUMNS * ROWS);
    }
    int[] expectedTile = new int[box.words()];
    int[] expectedCopy = new int[COLUMNS * ROWS];
    for (int row = 0; row < BOX_ROWS; row++) {
      for (int column = 0; column < columns; column++) {
        int r = y + row;
        int c = x + column;
        if (r >= 0 && r < ROWS && c >= 0 && c < COLUMNS) {
          expectedTile[box.place(row, column)] = tensor[r * COLUMNS + c];
          expectedCopy[r * COLUMNS + c] = tensor[r * COLUMNS + c];
        }
      }
    }
    assertThat(tile).isEqualTo(expectedTile);
    assertThat(copied).isEqualTo(expectedCopy);
  }

  /** A phase that expects more bytes than come never ends; with fewer, their count overflows it. */
  @ParameterizedTest
  @ValueSource(ints = {16, -16})
  void wrongByteCountsAreNoticed(int more) throws IOException {
    Box box = new Box(0, 0, 16, 0);
    PtxRunner.compile(BOX);
    try (PtxRunner runner = PtxRunner.load(BOX)) {
      CUdeviceptr tensor = runner.buffer(new int[COLUMNS * ROWS]);
      CUdeviceptr out = runner.buffer(new int[2 * box.words()]);
      assertThatThrownBy(() -> launch(runner, box, tensor, tensor, out, 4 * box.words() + more))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("LAUNCH_FAILED");
    }
  }

  private static void launch(
      PtxRunner runner,
      Box box,
      CUdeviceptr tensor,
      CUdeviceptr target,
      CUdeviceptr out,
      int bytes) {
    Pointer[] parameters = {
      Pointer.to(tensorMap(tensor, box)),
      Pointer.to(tensorMap(target, box)),
      Pointer.to(out),
      Pointer.to(runner.buffer(new int[] {box.x(), box.y(), bytes}))
    };
    runner.launch("box", 1, 32, 4 * box.words(), parameters);
  }

  /** {@code cuTensorMapEncodeTiled} of the int32 matrix at an address. */
  @SuppressWarnings("restricted") // the driver is the stand-in
  private static byte[] tensorMap(CUdeviceptr address, Box box) {
    SymbolLookup driver = SymbolLookup.libraryLookup("libcuda.so.1", Arena.global());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment map = arena.allocate(128, 64);
      int status =
          (int)
              Linker.nativeLinker()
                  .downcallHandle(
                      driver.findOrThrow("cuTensorMapEncodeTiled"),
                      FunctionDescriptor.of(
                          ValueLayout.JAVA_INT,
                          ValueLayout.ADDRESS,
                          ValueLayout.JAVA_INT,
                          ValueLayout.JAVA_INT,
                          ValueLayout.ADDRESS,
                          ValueLayout.ADDRESS,
                          ValueLayout.ADDRESS,
                          ValueLayout.ADDRESS,
                          ValueLayout.ADDRESS,
                          ValueLayout.JAVA_INT,
                          ValueLayout.JAVA_INT,
                          ValueLayout.JAVA_INT,
                          ValueLayout.JAVA_INT))
                  .invokeExact(
                      map,
                      INT32,
                      2,
                      MemorySegment.ofAddress(PtxRunner.address(address)),
                      arena.allocateFrom(ValueLayout.JAVA_LONG, COLUMNS, ROWS),
                      arena.allocateFrom(ValueLayout.JAVA_LONG, 4 * COLUMNS),
                      arena.allocateFrom(ValueLayout.JAVA_INT, box.columns(), BOX_ROWS),
                      arena.allocateFrom(ValueLayout.JAVA_INT, 1, 1),
                      0,
                      box.swizzle(),
                      0,
                      0);
      assertThat(status).isZero();
      return map.toArray(ValueLayout.JAVA_BYTE);
    } catch (Throwable e) { // what a method handle declares
      throw new IllegalStateException("cuTensorMapEncodeTiled", e);
    }
  }

  /** A ring of two buffers: a producer warp and a consumer warp take turns by mbarriers. */
  private static final String RING =
      """
      .version 8.0
      .target sm_90a
      .address_size 64
      .visible .entry ring(.param .u64 in, .param .u64 out)
      {
        .reg .pred %p<4>;
        .reg .b32 %r<20>;
        .reg .b64 %rd<8>;
        .shared .align 128 .b8 buffer[256];
        .shared .align 8 .b64 full[2];
        .shared .align 8 .b64 empty[2];
        ld.param.u64 %rd1, [in];
        ld.param.u64 %rd2, [out];
        mov.u32 %r1, %tid.x;
        setp.ne.u32 %p1, %r1, 0;
        @%p1 bra INITIALIZED;
        mbarrier.init.shared::cta.b64 [full], 1;
        mbarrier.init.shared::cta.b64 [full+8], 1;
        mbarrier.init.shared::cta.b64 [empty], 32;
        mbarrier.init.shared::cta.b64 [empty+8], 32;
      INITIALIZED:
        bar.sync 0;
        mov.u32 %r2, 0;
        setp.lt.u32 %p1, %r1, 32;
        @%p1 bra CONSUME;
        setp.ne.u32 %p1, %r1, 32;
        @%p1 bra END;
      PRODUCE:
        and.b32 %r3, %r2, 1;
        shr.u32 %r4, %r2, 1;
        and.b32 %r4, %r4, 1;
        xor.b32 %r5, %r4, 1;
        mov.u32 %r6, empty;
        mad.lo.u32 %r6, %r3, 8, %r6;
      EMPTY:
        mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r6], %r5;
        @!%p2 bra EMPTY;
        mov.u32 %r7, full;
        mad.lo.u32 %r7, %r3, 8, %r7;
        mov.u32 %r8, buffer;
        mad.lo.u32 %r8, %r3, 128, %r8;
        mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r7], 128;
        mad.wide.u32 %rd3, %r2, 128, %rd1;
        cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r8], [%rd3], 128, [%r7];
        add.u32 %r2, %r2, 1;
        setp.lt.u32 %p3, %r2, 9;
        @%p3 bra PRODUCE;
        bra END;
      CONSUME:
        and.b32 %r3, %r2, 1;
        shr.u32 %r4, %r2, 1;
        and.b32 %r4, %r4, 1;
        mov.u32 %r7, full;
        mad.lo.u32 %r7, %r3, 8, %r7;
      FULL:
        mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r7], %r4;
        @!%p2 bra FULL;
        mov.u32 %r8, buffer;
        mad.lo.u32 %r8, %r3, 128, %r8;
        mad.lo.u32 %r8, %r1, 4, %r8;
        ld.shared.u32 %r9, [%r8];
        mad.lo.u32 %r10, %r2, 32, %r1;
        mad.wide.u32 %rd4, %r10, 4, %rd2;
        st.global.u32 [%rd4], %r9;
        mov.u32 %r6, empty;
        mad.lo.u32 %r6, %r3, 8, %r6;
        mbarrier.arrive.shared::cta.b64 %rd5, [%r6];
        add.u32 %r2, %r2, 1;
        setp.lt.u32 %p3, %r2, 9;
        @%p3 bra CONSUME;
      END:
        ret;
      }
      """;

  @Test
  void ringOfBuffers() throws IOException {
    Translation translation = PtxRunner.compile(RING);
    assertThat(translation.untranslated()).isEmpty();
    assertThat(translation.barriers()).hasSize(3);
    int[] values = IntStream.range(100, 100 + 9 * 32).toArray();
    try (PtxRunner runner = PtxRunner.load(RING)) {
      var out = runner.buffer(new int[values.length]);
      runner.launch("ring", 1, 64, 0, runner.buffer(values), out);
      assertThat(runner.ints(out, values.length)).isEqualTo(values);
    }
  }

  /** cp.async with zero fill and two groups; each thread copies 16 bytes twice. */
  private static final String GROUPS =
      """
      .version 8.0
      .target sm_80
      .address_size 64
      .visible .entry groups(.param .u64 in, .param .u64 out)
      {
        .reg .pred %%p<2>;
        .reg .b32 %%r<12>;
        .reg .b64 %%rd<4>;
        .shared .align 16 .b8 buffer[1024];
        ld.param.u64 %%rd1, [in];
        ld.param.u64 %%rd2, [out];
        mov.u32 %%r1, %%tid.x;
        mov.u32 %%r2, buffer;
        mad.lo.u32 %%r2, %%r1, 16, %%r2;
        mad.wide.u32 %%rd1, %%r1, 16, %%rd1;
        cp.async.cg.shared.global [%%r2], [%%rd1], 16;
        cp.async.commit_group;
        and.b32 %%r3, %%r1, 15;
        cp.async.ca.shared.global.L2::128B [%%r2+512], [%%rd1], 16, %%r3;
        cp.async.commit_group;
        cp.async.wait_group %d;
        bar.sync 0;
        ld.shared.v4.u32 {%%r4, %%r5, %%r6, %%r7}, [%%r2];
        ld.shared.v4.u32 {%%r8, %%r9, %%r10, %%r11}, [%%r2+512];
        mad.wide.u32 %%rd2, %%r1, 32, %%rd2;
        st.global.v4.u32 [%%rd2], {%%r4, %%r5, %%r6, %%r7};
        st.global.v4.u32 [%%rd2+16], {%%r8, %%r9, %%r10, %%r11};
        ret;
      }
      """;

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void copyGroups(int pending) throws IOException {
    String ptx = GROUPS.formatted(pending);
    assertThat(PtxRunner.compile(ptx).untranslated()).isEmpty();
    byte[] source = new byte[512];
    for (int i = 0; i < source.length; i++) {
      source[i] = (byte) (i * 7 + 1);
    }
    int[] words = new int[128];
    for (int i = 0; i < source.length; i++) {
      words[i / 4] |= (source[i] & 0xFF) << 8 * (i % 4);
    }
    int[] actual;
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      var out = runner.buffer(new int[256]);
      runner.launch("groups", 1, 32, 0, runner.buffer(words), out);
      actual = runner.ints(out, 256);
    }
    int[] expected = new int[256];
    for (int thread = 0; thread < 32; thread++) {
      for (int i = 0; i < 16; i++) {
        int value = source[16 * thread + i] & 0xFF;
        expected[8 * thread + i / 4] |= value << 8 * (i % 4);
        // The youngest group may be in flight, which shows as garbage.
        int second = pending == 1 ? 0xFF : i < (thread & 15) ? value : 0;
        expected[8 * thread + 4 + i / 4] |= second << 8 * (i % 4);
      }
    }
    assertThat(actual).isEqualTo(expected);
  }
}
