package dev.quench.cuda.standin;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Matrix instructions of a warp, against products of whole matrices. Where an element of a fragment
 * lies is written here as the PTX ISA states it, shape by shape; with small integers all sums are
 * exact.
 */
final class MatrixOpcodeTest {
  private static final int LANES = 32;

  @BeforeAll
  static void build() {
    PtxRunner.require();
  }

  /** An index of a matrix from an element of a fragment: group = lane / 4, t = lane mod 4. */
  private interface Index {
    int of(int i, int group, int t);
  }

  /**
   * A form of mma.
   *
   * @param bits of an element of A and B
   * @param result the type of C and D
   */
  private record Form(
      String name,
      int depth,
      int bits,
      String type,
      String result,
      Index rowA,
      Index columnA,
      Index rowB) {
    int countA() {
      return 16 * depth * bits / 32 / LANES;
    }

    int countB() {
      return 8 * depth * bits / 32 / LANES;
    }

    int countC() {
      return result.equals("f16") ? 2 : 4;
    }

    /** The bits of a small integer. */
    long encode(int value) {
      return switch (type) {
        case "bf16" -> ShortFloat.BF16.round(value, RoundingMode.HALF_EVEN, false);
        case "f16" -> ShortFloat.F16.round(value, RoundingMode.HALF_EVEN, false);
        case "e4m3" -> ShortFloat.E4M3.round(value, RoundingMode.HALF_EVEN, false);
        case "e5m2" -> ShortFloat.E5M2.round(value, RoundingMode.HALF_EVEN, false);
        case "tf32" -> Float.floatToRawIntBits(value) & 0xFFFFFFFFL;
        default -> value & 0xFF;
      };
    }
  }

  private static Form form(
      int depth, int bits, String type, String result, Index rowA, Index columnA, Index rowB) {
    String name =
        "mma.sync.aligned.m16n8k%d.row.col.%s.%s.%s.%s"
            .formatted(depth, result, type, type, result);
    return new Form(name, depth, bits, type, result, rowA, columnA, rowB);
  }

  private static List<Form> forms() {
    List<Form> forms = new ArrayList<>();
    for (String type : List.of("f16", "bf16")) {
      forms.add(
          form(
              16,
              16,
              type,
              "f32",
              (i, g, t) -> i < 2 || i >= 4 && i < 6 ? g : g + 8,
              (i, g, t) -> 2 * t + (i & 1) + (i >= 4 ? 8 : 0),
              (i, g, t) -> 2 * t + (i & 1) + (i >= 2 ? 8 : 0)));
      forms.add(
          form(
              8,
              16,
              type,
              "f32",
              (i, g, t) -> i < 2 ? g : g + 8,
              (i, g, t) -> 2 * t + (i & 1),
              (i, g, t) -> 2 * t + i));
    }
    forms.add(
        form(
            16,
            16,
            "f16",
            "f16",
            (i, g, t) -> i < 2 || i >= 4 && i < 6 ? g : g + 8,
            (i, g, t) -> 2 * t + (i & 1) + (i >= 4 ? 8 : 0),
            (i, g, t) -> 2 * t + (i & 1) + (i >= 2 ? 8 : 0)));
    forms.add(
        form(
            4, 32, "tf32", "f32", (i, g, t) -> i == 0 ? g : g + 8, (i, g, t) -> t, (i, g, t) -> t));
    forms.add(
        form(
            8,
            32,
            "tf32",
            "f32",
            (i, g, t) -> i % 2 == 0 ? g : g + 8,
            (i, g, t) -> i < 2 ? t : t + 4,
            (i, g, t) -> i == 0 ? t : t + 4));
    for (String type : List.of("s8", "u8")) {
      forms.add(
          form(
              16,
              8,
              type,
              "s32",
              (i, g, t) -> i < 4 ? g : g + 8,
              (i, g, t) -> 4 * t + (i & 3),
              (i, g, t) -> 4 * t + i));
    }
    for (String type : List.of("s8", "e4m3", "e5m2")) {
      forms.add(
          form(
              32,
              8,
              type,
              type.equals("s8") ? "s32" : "f32",
              (i, g, t) -> i < 4 || i >= 8 && i < 12 ? g : g + 8,
              (i, g, t) -> 4 * t + (i & 3) + (i >= 8 ? 16 : 0),
              (i, g, t) -> 4 * t + (i & 3) + (i >= 4 ? 16 : 0)));
    }
    return forms;
  }

  @TestFactory
  List<DynamicTest> products() throws IOException {
    StringBuilder module = new StringBuilder(".version 8.0\n.target sm_90a\n.address_size 64\n");
    List<Form> forms = forms();
    for (int i = 0; i < forms.size(); i++) {
      module.append(kernel("product" + i, forms.get(i)));
    }
    String ptx = module.toString();
    assertThat(PtxRunner.compile(ptx).untranslated()).isEmpty();
    return IntStream.range(0, forms.size())
        .mapToObj(
            i ->
                DynamicTest.dynamicTest(
                    forms.get(i).name(), () -> multiply(ptx, "product" + i, forms.get(i))))
        .toList();
  }

  /** Loads each lane's registers of A, B and C, multiplies, and stores those of D. */
  private static String kernel(String name, Form form) {
    return ".visible .entry %s(.param .u64 a, .param .u64 b, .param .u64 c)\n{\n".formatted(name)
        + "  .reg .b32 r<4>, a<8>, b<8>, c<8>;\n  .reg .b64 x<8>;\n  mov.u32 r0, %tid.x;\n"
        + load("a", form.countA())
        + load("b", form.countB())
        + load("c", form.countC())
        + "  %s {%s}, {%s}, {%s}, {%s};\n"
            .formatted(
                form.name(),
                list("c", form.countC()),
                list("a", form.countA()),
                list("b", form.countB()),
                list("c", form.countC()))
        + stores(form.countC())
        + "  ret;\n}\n";
  }

  private static String load(String name, int count) {
    StringBuilder text = new StringBuilder();
    text.append("  ld.param.u64 x0, [%s];\n".formatted(name));
    text.append("  mad.wide.u32 x0, r0, %d, x0;\n".formatted(4 * count));
    for (int i = 0; i < count; i++) {
      text.append("  ld.global.u32 %s%d, [x0+%d];\n".formatted(name, i, 4 * i));
    }
    return text.toString();
  }

  private static String stores(int count) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < count; i++) {
      text.append("  st.global.u32 [x0+%d], c%d;\n".formatted(4 * i, i));
    }
    return text.toString();
  }

  private static String list(String name, int count) {
    return String.join(", ", IntStream.range(0, count).mapToObj(i -> name + i).toList());
  }

  private static void multiply(String ptx, String kernel, Form form) {
    Random random = new Random(5);
    boolean signed = !form.type().equals("u8");
    int[][] a = matrix(random, 16, form.depth(), signed);
    int[][] b = matrix(random, form.depth(), 8, signed);
    int[][] c = matrix(random, 16, 8, signed);
    int perRegister = 32 / form.bits();
    int[] registersA = new int[LANES * form.countA()];
    int[] registersB = new int[LANES * form.countB()];
    int[] registersC = new int[LANES * form.countC()];
    for (int lane = 0; lane < LANES; lane++) {
      int g = lane / 4;
      int t = lane % 4;
      for (int i = 0; i < form.countA() * perRegister; i++) {
        long bits = form.encode(a[form.rowA().of(i, g, t)][form.columnA().of(i, g, t)]);
        registersA[lane * form.countA() + i / perRegister] |=
            (int) (bits << form.bits() * (i % perRegister));
      }
      for (int i = 0; i < form.countB() * perRegister; i++) {
        long bits = form.encode(b[form.rowB().of(i, g, t)][g]);
        registersB[lane * form.countB() + i / perRegister] |=
            (int) (bits << form.bits() * (i % perRegister));
      }
      for (int i = 0; i < 4; i++) {
        put(
            registersC,
            lane * form.countC(),
            i,
            form.result(),
            c[i < 2 ? g : g + 8][2 * t + (i & 1)]);
      }
    }
    int[] actual;
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      var out = runner.buffer(registersC);
      runner.launch(kernel, 1, LANES, 0, runner.buffer(registersA), runner.buffer(registersB), out);
      actual = runner.ints(out, registersC.length);
    }
    int[] expected = new int[registersC.length];
    for (int lane = 0; lane < LANES; lane++) {
      for (int i = 0; i < 4; i++) {
        int row = i < 2 ? lane / 4 : lane / 4 + 8;
        int column = 2 * (lane % 4) + (i & 1);
        int sum = c[row][column];
        for (int k = 0; k < form.depth(); k++) {
          sum += a[row][k] * b[k][column];
        }
        put(expected, lane * form.countC(), i, form.result(), sum);
      }
    }
    assertThat(actual).isEqualTo(expected);
  }

  private static int[][] matrix(Random random, int rows, int columns, boolean signed) {
    int[][] matrix = new int[rows][columns];
    for (int[] row : matrix) {
      for (int i = 0; i < columns; i++) {
        row[i] = random.nextInt(signed ? -4 : 0, 5);
      }
    }
    return matrix;
  }

  /** Sets value i of a lane's accumulators. */
  private static void put(int[] registers, int from, int i, String type, int value) {
    switch (type) {
      case "f32" -> registers[from + i] = Float.floatToRawIntBits(value);
      case "s32" -> registers[from + i] = value;
      default ->
          registers[from + i / 2] |=
              (int) ShortFloat.F16.round(value, RoundingMode.HALF_EVEN, false) << 16 * (i % 2);
    }
  }

  /** Rows of four matrices lie 80 bytes apart; lane l gives the address of row l. */
  private static final String TRANSFER =
      """
      .version 8.0
      .target sm_90a
      .address_size 64
      .visible .entry transfer(.param .u64 out)
      {
        .reg .pred %%p<3>;
        .reg .b32 %%r<12>;
        .reg .b64 %%rd<4>;
        .shared .align 16 .b8 rows[2560];
        .shared .align 16 .b8 back[2560];
        mov.u32 %%r0, %%tid.x;
        mov.u32 %%r1, 0;
      FILL:
        mad.lo.u32 %%r2, %%r0, 20, %%r1;
        mul.lo.u32 %%r3, %%r2, 2;
        add.u32 %%r4, %%r3, 1;
        shl.b32 %%r4, %%r4, 16;
        or.b32 %%r3, %%r3, %%r4;
        shl.b32 %%r2, %%r2, 2;
        mov.u32 %%r4, rows;
        add.u32 %%r4, %%r4, %%r2;
        st.shared.u32 [%%r4], %%r3;
        add.u32 %%r1, %%r1, 1;
        setp.lt.u32 %%p1, %%r1, 20;
        @%%p1 bra FILL;
        bar.sync 0;
        mov.u32 %%r4, rows;
        mad.lo.u32 %%r4, %%r0, 80, %%r4;
        ldmatrix.sync.aligned.m8n8.x4%1$s.shared.b16 {%%r5, %%r6, %%r7, %%r8}, [%%r4];
        ld.param.u64 %%rd1, [out];
        mad.wide.u32 %%rd1, %%r0, 32, %%rd1;
        st.global.v4.u32 [%%rd1], {%%r5, %%r6, %%r7, %%r8};
        mov.u32 %%r4, back;
        mad.lo.u32 %%r4, %%r0, 80, %%r4;
        stmatrix.sync.aligned.m8n8.x4%1$s.shared.b16 [%%r4], {%%r5, %%r6, %%r7, %%r8};
        bar.warp.sync -1;
        ld.shared.v4.u32 {%%r5, %%r6, %%r7, %%r8}, [%%r4];
        st.global.v4.u32 [%%rd1+16], {%%r5, %%r6, %%r7, %%r8};
        ret;
      }
      """;

  @Test
  void movesMatrices() throws IOException {
    transfer("", (row, column) -> row * 40 + column);
  }

  @Test
  void movesTransposedMatrices() throws IOException {
    transfer(".trans", (row, column) -> column * 40 + row);
  }

  private interface Element {
    int of(int row, int column);
  }

  /** Element (row, column) of a matrix is its place in shared memory, less the matrix's first. */
  private static void transfer(String transposition, Element element) throws IOException {
    String ptx = TRANSFER.formatted(transposition);
    assertThat(PtxRunner.compile(ptx).untranslated()).isEmpty();
    int[] words;
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      var out = runner.buffer(new int[LANES * 8]);
      runner.launch("transfer", 1, LANES, 0, out);
      words = runner.ints(out, LANES * 8);
    }
    for (int lane = 0; lane < LANES; lane++) {
      for (int matrix = 0; matrix < 4; matrix++) {
        int first = 8 * matrix * 40;
        int low = first + element.of(lane / 4, lane % 4 * 2);
        int high = first + element.of(lane / 4, lane % 4 * 2 + 1);
        assertThat(words[lane * 8 + matrix])
            .as("ldmatrix, lane %d, matrix %d", lane, matrix)
            .isEqualTo(low | high << 16);
      }
      for (int word = 0; word < 4; word++) {
        int place = lane * 40 + 2 * word;
        assertThat(words[lane * 8 + 4 + word])
            .as("stmatrix brings back row %d", lane)
            .isEqualTo(place | place + 1 << 16);
      }
    }
  }
}
