package dev.quench.cuda.standin;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The kernels of the jar and the stand-in as a whole. */
final class StandInTest {
  private static final String PROBE =
      """
      .version 8.0
      .target sm_80
      .address_size 64
      .visible .entry scale(.param .u64 values)
      {
        .reg .b32 %r<4>;
        .reg .b64 %rd<4>;
        ld.param.u64 %rd1, [values];
        mov.u32 %r1, %tid.x;
        mul.wide.u32 %rd2, %r1, 4;
        add.s64 %rd3, %rd1, %rd2;
        ld.global.u32 %r2, [%rd3];
        mul.lo.s32 %r3, %r2, 3;
        st.global.u32 [%rd3], %r3;
        ret;
      }
      """;

  @BeforeAll
  static void build() {
    PtxRunner.require();
  }

  @Test
  void runsPtx() throws IOException {
    assertThat(PtxRunner.compile(PROBE).untranslated()).isEmpty();
    try (PtxRunner runner = PtxRunner.load(PROBE)) {
      var values = runner.buffer(new int[] {1, -2, 3, 1 << 30});
      runner.launch("scale", 1, 4, 0, values);
      assertThat(runner.ints(values, 4)).containsExactly(3, -6, 9, 3 << 30);
    }
  }

  @TestFactory
  Iterable<DynamicTest> everyKernelOfTheJarIsTranslated() throws IOException {
    return StandIn.files().stream()
        .map(
            file ->
                DynamicTest.dynamicTest(
                    file,
                    () ->
                        assertThat(Translator.translate(StandIn.ptx(file)).untranslated())
                            .isEmpty()))
        .toList();
  }
}
