package dev.quench.cuda.standin;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import jcuda.CudaException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What the translator refuses, what it leaves to run time, and its options. */
final class TranslatorTest {
  private static final String HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n";

  private static String kernel(String body) {
    return HEAD
        + ".visible .entry one(.param .u64 out)\n{\n"
        + ".reg .pred %p<3>;\n.reg .b16 %rs<3>;\n.reg .b32 %r<4>;\n.reg .f32 %f<3>;\n.reg .b64 %rd<3>;\n"
        + body
        + "\nret;\n}\n";
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "mov.u32 %r1 2 | PTX line 11: expected ',' but found '2'",
        "mov.u32 %r1, 2 | PTX line 12: expected ',' but found 'ret'",
        "add.s32 %r1, %r2, 0x1G; | PTX line 11: not a number: '0x1G'",
        ".foo %r1; | PTX line 11: unknown directive '.foo'",
        ".reg .b24 %x; | PTX line 11: unknown type '.b24'",
        "`; | PTX line 11: unexpected character '`'",
        "/* no end | PTX line 11: comment without end",
        "{ mov.u32 %r1, 2; | the text ends too early",
        "L: L: | PTX line 11: 'L' is declared twice",
        ".global .u32 x; | PTX line 11: a variable of the module inside a function",
        "ld.global.u32 %r1, [%rd1+%r2]; | PTX line 11: expected a number but found '%r2'",
      })
  void errorsNameTheLine(String body, String message) {
    assertThatThrownBy(() -> Translator.translate(kernel(body)))
        .isInstanceOf(PtxException.class)
        .hasMessageContaining(message);
  }

  @Test
  void clustersAreRefused() {
    String ptx = kernel("").replace("out)\n{", "out)\n.reqnctapercluster 2, 1, 1\n{");
    assertThatThrownBy(() -> Translator.translate(ptx))
        .hasMessage("PTX line 5: clusters of blocks are not supported");
    assertThat(Translator.translate(ptx.replace(" 2,", " 1,")).untranslated()).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "frobnicate.b32 %r1, %r2;",
        "add.s32.quick %r1, %r2, %r3;",
        "add.s32 %r1, %r2;",
        "add.s32 %r1, %r2, %nonsense;",
        "add.f32 %f1, %f2, 1;",
        "add.s64 %rd1, %rd2, %r1;",
        "mul.lo.f16x4 %r1, %r2, %r3;",
        "cvt.f32.s32 %r1, %p1;",
        "cvt.rn.f16.u32 %r1, %p1;",
        "st.global.v4.u32 [%rd1], {%r1, %r2};",
        "bra NOWHERE;",
        "call.uni outside, ();",
        "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%rd1}, {%rd1}, {%rd1}, {%rd1};",
        "shfl.up.b32 %r1, %r2, 1, 0;",
        "atom.global.add.f32.extra %f1, [%rd1], %f2;",
        "red.global.max.f32 [%rd1], %f2;",
        "tex.2d.v4.f32.f32 {%f1, %f1, %f1, %f1}, [%rd1, {%f1, %f2}];",
        "wgmma.mma_async.sync.aligned.m64n64k8.f32.bf16.bf16 {%f1}, %rd1, %rd2, 1, 1, 1, 0, 0;",
        "cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%rd1], [%r1], 16;",
        "mapa.u64 %rd1, %rd2;",
        "rcp.approx.ftz.f64 %rd1, %rd2;",
      })
  void unknownFormsAreListed(String instruction) {
    List<String> untranslated = Translator.translate(kernel(instruction)).untranslated();
    assertThat(untranslated).hasSize(1);
    assertThat(untranslated.getFirst())
        .startsWith("one, PTX line 11: " + instruction.substring(0, instruction.indexOf(' ')));
  }

  @Test
  void anUnknownFormFailsWhenItIsReached() throws IOException {
    String ptx =
        kernel(
            """
            ld.param.u64 %rd1, [out];
            ld.global.u32 %r1, [%rd1];
            setp.ne.u32 %p1, %r1, 0;
            @%p1 frobnicate.b32 %r2, %r1;
            st.global.u32 [%rd1+4], 5;
            """);
    assertThat(PtxRunner.compile(ptx).untranslated()).hasSize(1);
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      var words = runner.buffer(new int[2]);
      runner.launch("one", 1, 32, 0, words);
      assertThat(runner.ints(words, 2)).containsExactly(0, 5);
    }
    assertFails(ptx, 1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ld.global.u32 %r1, [%rd1+2];",
        "ld.global.v2.u32 {%r1, %r2}, [%rd1+4];",
        "mov.u32 %r1, 100; st.shared.u32 [%r1], %r1;",
        "trap;",
        "mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 0; @%p1 bar.sync 0; @!%p1 bar.sync 1;",
        "shfl.sync.idx.b32 %r1, %r2, 0, 31, 2;",
        "mbarrier.arrive.shared.b64 %rd2, [room];",
      })
  void mistakesOfKernelsFail(String instruction) throws IOException {
    String body = ".shared .align 8 .b8 room[64];\nld.param.u64 %rd1, [out];\nmov.u32 %r3, room;\n";
    String ptx = kernel(body + instruction);
    assertThat(PtxRunner.compile(ptx).untranslated()).isEmpty();
    assertFails(ptx, 0);
  }

  private static void assertFails(String ptx, int value) {
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      var words = runner.buffer(new int[] {value, 0, 0, 0});
      assertThatThrownBy(() -> runner.launch("one", 1, 32, 0, words))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("LAUNCH_FAILED");
    }
  }

  @Test
  void linesOfTheSource() {
    String ptx =
        kernel(
                ".loc 1 12 3\nmov.u32 %r1, 1;\n.loc 1 14 3, function_name $L__info_string0, inlined_at 1 12 3\nmov.u32 %r2, 2;")
            + ".file 1 \"kernels/a.cu\", 1, 2\n";
    assertThat(Translator.translate(ptx).cpp())
        .contains("#line 12 \"kernels/a.cu\"\nv_r1 =")
        .contains("#line 14 \"kernels/a.cu\"\nv_r2 =");
  }

  private static final String NEIGHBOURS =
      """
      .version 8.0
      .target sm_80
      .address_size 64
      .visible .entry neighbours(.param .u64 out)
      {
        .reg .b32 %r<8>;
        .reg .b64 %rd<4>;
        .shared .align 16 .b8 words[8192];
        .loc 1 5 1
        mov.u32 %r1, %tid.x;
        mov.u32 %r2, words;
        mad.lo.u32 %r3, %r1, 128, %r2;
        st.shared.u32 [%r3], %r1;
        .loc 1 6 1
        bar.sync 0;
        .loc 1 7 1
        xor.b32 %r4, %r1, 33;
        mad.lo.u32 %r3, %r4, 128, %r2;
        ld.shared.u32 %r5, [%r3];
        ld.param.u64 %rd1, [out];
        mad.wide.u32 %rd1, %r1, 8, %rd1;
        .loc 1 8 1
        st.global.u32 [%rd1], %r5;
        .loc 1 9 1
        ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r6, %r7}, [%r3];
        ret;
      }
      .file 1 "neighbours.cu"
      """;

  /** Without its barrier the kernel reads what isn't written yet: tests can see a missing one. */
  @Test
  void removedBarrier(@TempDir Path folder) throws IOException, InterruptedException {
    PtxRunner.require();
    BuildOptions options = BuildOptions.parse(List.of("--removable"));
    Translation translation =
        StandIn.library(folder, options).compile("neighbours.ptx", NEIGHBOURS);
    assertThat(translation.barriers()).containsExactly("neighbours, neighbours.cu:6: bar.sync");
    Path ptx = Files.writeString(folder.resolve("neighbours.ptx"), NEIGHBOURS);
    float[] whole = LaunchProgram.run(ptx, "neighbours", folder, "STANDIN_REMOVE", "");
    for (String other : List.of("neighbours.ptx:1", "other.ptx:0")) {
      assertThat(LaunchProgram.run(ptx, "neighbours", folder, "STANDIN_REMOVE", other))
          .isEqualTo(whole);
    }
    assertThat(LaunchProgram.run(ptx, "neighbours", folder, "STANDIN_REMOVE", "neighbours.ptx:0"))
        .isNotEqualTo(whole);
  }

  /** 32 lanes that are 128 bytes apart are in one bank, and so are 8 rows; 8 sectors hold 4. */
  @Test
  void profile(@TempDir Path folder) throws IOException, InterruptedException {
    PtxRunner.require();
    BuildOptions options = BuildOptions.parse(List.of("--profile"));
    StandIn.library(folder, options).compile("neighbours.ptx", NEIGHBOURS);
    Path table = folder.resolve("profile.tsv");
    Path ptx = Files.writeString(folder.resolve("neighbours.ptx"), NEIGHBOURS);
    LaunchProgram.run(ptx, "neighbours", folder, "STANDIN_PROFILE", table.toString());
    try (Stream<String> lines = Files.lines(table)) {
      assertThat(lines)
          .containsExactly(
              "neighbours\t5\tshared\tstore\t4\t2\t32.000\t1.000\t256",
              "neighbours\t7\tshared\tload\t4\t2\t32.000\t1.000\t256",
              "neighbours\t8\tglobal\tstore\t4\t2\t8.000\t4.000\t256",
              "neighbours\t9\tshared\tload\t16\t2\t16.000\t2.000\t512");
    }
  }

  private static final String APPROXIMATIONS =
      """
      .version 8.0
      .target sm_80
      .address_size 64
      .visible .entry approximate(.param .u64 values)
      {
        .reg .b32 %r<4>;
        .reg .f32 %f<12>;
        .reg .b64 %rd<4>;
        mov.u32 %r1, %tid.x;
        ld.param.u64 %rd1, [values];
        mad.wide.u32 %rd1, %r1, 4, %rd1;
        ld.global.f32 %f1, [%rd1];
        rcp.approx.f32 %f2, %f1;
        sqrt.approx.f32 %f3, %f1;
        rsqrt.approx.f32 %f4, %f1;
        ex2.approx.f32 %f5, %f1;
        lg2.approx.f32 %f6, %f1;
        tanh.approx.f32 %f7, %f1;
        sin.approx.f32 %f8, %f1;
        cos.approx.f32 %f9, %f1;
        st.global.f32 [%rd1+256], %f2;
        st.global.f32 [%rd1+512], %f3;
        st.global.f32 [%rd1+768], %f4;
        st.global.f32 [%rd1+1024], %f5;
        st.global.f32 [%rd1+1280], %f6;
        st.global.f32 [%rd1+1536], %f7;
        st.global.f32 [%rd1+1792], %f8;
        st.global.f32 [%rd1+2048], %f9;
        ret;
      }
      """;

  private record Approximation(DoubleUnaryOperator exact, double relative, double absolute) {
    double error(float x, float result) {
      double value = exact.applyAsDouble(x);
      // Half an ulp more, since the perturbed value is rounded too.
      double allowed = relative * Math.abs(value) + absolute + Math.ulp(result) / 2;
      return Math.abs(result - value) / allowed;
    }
  }

  /** Perturbed approximations are wrong by up to what is allowed, and some by much of it. */
  @Test
  void perturbation(@TempDir Path folder) throws IOException, InterruptedException {
    PtxRunner.require();
    StandIn.library(folder, BuildOptions.plain()).compile("approximate.ptx", APPROXIMATIONS);
    Path ptx = Files.writeString(folder.resolve("approximate.ptx"), APPROXIMATIONS);
    float[] results = LaunchProgram.run(ptx, "approximate", folder, "STANDIN_APPROX", "perturb");
    float[] values = LaunchProgram.before();
    double log2 = Math.log(2);
    List<Approximation> functions =
        List.of(
            new Approximation(x -> 1 / x, 0x1p-23, 0),
            new Approximation(Math::sqrt, 0x1p-23, 0),
            new Approximation(x -> 1 / Math.sqrt(x), 0x1p-22, 0),
            new Approximation(x -> Math.pow(2, x), 0x1p-22, 0),
            new Approximation(x -> Math.log(x) / log2, 0x1p-22, 0x1p-22),
            new Approximation(Math::tanh, 0x1p-11, 0),
            new Approximation(Math::sin, 0, 0x1p-20),
            new Approximation(Math::cos, 0, 0x1p-20));
    for (int f = 0; f < functions.size(); f++) {
      double worst = 0;
      for (int i = 0; i < 64; i++) {
        worst = Math.max(worst, functions.get(f).error(values[i], results[64 * (f + 1) + i]));
      }
      assertThat(worst).as("function %d", f).isBetween(0.5, 1.0);
    }
  }
}
