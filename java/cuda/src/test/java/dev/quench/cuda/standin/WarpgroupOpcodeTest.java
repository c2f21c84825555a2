package dev.quench.cuda.standin;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;
import jcuda.CudaException;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * {@code wgmma} against products of whole matrices, for each layout of shared memory. Layouts are
 * written as the canonical ones of CuTe are, in units of 16 bytes; with small integers all sums are
 * exact.
 */
final class WarpgroupOpcodeTest {
  private static final int THREADS = 128;
  private static final int ROWS = 64;

  /** Where B starts in shared memory. */
  private static final int B_START = 16384;

  private static final int SHARED = 65536;

  @BeforeAll
  static void build() {
    PtxRunner.require();
  }

  /** Element types: their bits and how small integers are encoded. */
  private enum Element {
    BF16(16),
    F16(16),
    TF32(32),
    E4M3(8),
    S8(8);

    private final int bits;

    Element(int bits) {
      this.bits = bits;
    }

    String ptx() {
      return name().toLowerCase(Locale.ROOT);
    }

    int depth() {
      return 256 / bits;
    }

    long encode(int value) {
      return switch (this) {
        case BF16 -> ShortFloat.BF16.round(value, RoundingMode.HALF_EVEN, false);
        case F16 -> ShortFloat.F16.round(value, RoundingMode.HALF_EVEN, false);
        case E4M3 -> ShortFloat.E4M3.round(value, RoundingMode.HALF_EVEN, false);
        case TF32 -> Float.floatToRawIntBits(value) & 0xFFFFFFFFL;
        case S8 -> value & 0xFF;
      };
    }
  }

  /**
   * How a matrix lies in shared memory.
   *
   * @param swizzle 0, or the exponent of the swizzle: 1, 2, 3 for 32, 64, 128 bytes
   * @param mn whether rows (of A; columns of B) are contiguous instead of k
   * @param leading leading dimension byte offset
   * @param stride stride dimension byte offset
   */
  private record Layout(int swizzle, boolean mn, int leading, int stride) {
    /** Byte offset of an element from the start of the matrix, which is a multiple of 1024. */
    int offset(int row, int k, int bytes) {
      int width = 16 << swizzle; // bytes of the pattern's rows
      int place;
      if (!mn) {
        int units = k * bytes / 16;
        int unit = swizzle == 0 ? units * leading : units * 16;
        place = row % 8 * width + row / 8 * stride + unit + k * bytes % 16;
      } else if (swizzle == 0) {
        int inUnit = 16 / bytes;
        place = row % inUnit * bytes + row / inUnit * stride + k % 8 * 16 + k / 8 * leading;
      } else {
        int inRow = width / bytes;
        place = row % inRow * bytes + row / inRow * leading + k % 8 * width + k / 8 * stride;
      }
      int mask = (1 << swizzle) - 1;
      return place ^ (place & mask << 7) >> 3;
    }

    long descriptor(int start) {
      long code = swizzle == 0 ? 0 : 4 - swizzle;
      return start >> 4 | (long) leading >> 4 << 16 | (long) stride >> 4 << 32 | code << 62;
    }
  }

  /**
   * A form of wgmma, with its operands.
   *
   * @param scaleD 1 to add to D, 0 to replace it
   * @param signs factors of A and B
   */
  private record Form(
      Element element,
      String result,
      int columns,
      Layout a,
      Layout b,
      boolean registerA,
      int scaleD,
      int signA,
      int signB) {

    int registers() {
      return result.equals("f16") ? columns / 4 : columns / 2;
    }

    String instruction() {
      String type = element.ptx();
      String text =
          "wgmma.mma_async.sync.aligned.m64n%dk%d.%s.%s.%s"
              .formatted(columns, element.depth(), result, type, type);
      text += " {" + names("d", registers()) + "}, ";
      text += registerA ? "{" + names("a", 4) + "}" : "x1";
      text += ", x2, p1";
      if (element != Element.S8) {
        text += ", " + signA + ", " + signB;
      }
      if (element.bits == 16) {
        text += registerA ? "" : ", " + (a.mn() ? 1 : 0);
        text += ", " + (b.mn() ? 1 : 0);
      }
      return text + ";";
    }

    @Override
    public String toString() {
      return instruction().replaceAll("\\{d.*?}", "d") + " " + a + " " + b;
    }
  }

  private static String names(String name, int count) {
    return String.join(", ", IntStream.range(0, count).mapToObj(i -> name + i).toList());
  }

  private static Layout k(int swizzle) {
    return new Layout(swizzle, false, swizzle == 0 ? 128 : 16, swizzle == 0 ? 256 : 128 << swizzle);
  }

  /** Rows (or columns) contiguous: blocks of the pattern's width behind each other. */
  private static Layout mn(int swizzle) {
    return swizzle == 0
        ? new Layout(0, true, 128, 256)
        : new Layout(swizzle, true, 256 << swizzle, 128 << swizzle);
  }

  private static List<Form> forms() {
    List<Form> forms = new ArrayList<>();
    for (int swizzle = 0; swizzle <= 3; swizzle++) {
      forms.add(new Form(Element.BF16, "f32", 64, k(swizzle), k(swizzle), false, 1, 1, 1));
      forms.add(new Form(Element.BF16, "f32", 128, mn(swizzle), mn(swizzle), false, 1, 1, 1));
    }
    forms.add(new Form(Element.F16, "f32", 8, k(3), mn(3), false, 1, 1, 1));
    forms.add(new Form(Element.F16, "f32", 256, mn(2), k(3), false, 0, 1, 1));
    forms.add(new Form(Element.F16, "f16", 64, k(3), k(3), false, 1, 1, 1));
    forms.add(new Form(Element.BF16, "f32", 32, k(3), k(3), false, 1, -1, 1));
    forms.add(new Form(Element.BF16, "f32", 32, k(3), k(3), false, 0, 1, -1));
    forms.add(new Form(Element.BF16, "f32", 96, k(3), mn(3), true, 1, 1, 1));
    forms.add(new Form(Element.TF32, "f32", 64, k(3), k(3), false, 1, 1, 1));
    forms.add(new Form(Element.TF32, "f32", 16, k(3), k(2), true, 1, 1, 1));
    forms.add(new Form(Element.E4M3, "f32", 64, k(3), k(3), false, 1, 1, 1));
    forms.add(new Form(Element.S8, "s32", 64, k(3), k(1), false, 1, 1, 1));
    forms.add(new Form(Element.S8, "s32", 24, k(3), k(0), true, 1, 1, 1));
    return forms;
  }

  @TestFactory
  List<DynamicTest> products() throws IOException {
    List<Form> forms = forms();
    StringBuilder module = new StringBuilder(".version 8.0\n.target sm_90a\n.address_size 64\n");
    module.append(".extern .shared .align 1024 .b8 memory[];\n");
    for (int i = 0; i < forms.size(); i++) {
      module.append(kernel("product" + i, forms.get(i), ""));
    }
    String ptx = module.toString();
    assertThat(PtxRunner.compile(ptx).untranslated()).isEmpty();
    return IntStream.range(0, forms.size())
        .mapToObj(
            i ->
                DynamicTest.dynamicTest(
                    forms.get(i).toString(), () -> multiply(ptx, "product" + i, forms.get(i))))
        .toList();
  }

  /**
   * Copies the image of shared memory, loads D and perhaps A, multiplies, stores D.
   *
   * @param between what happens before the product is waited for
   */
  private static String kernel(String name, Form form, String between) {
    StringBuilder text = new StringBuilder();
    text.append(".visible .entry " + name);
    text.append("(.param .u64 image, .param .u64 fragments, .param .u64 result)\n{\n");
    text.append("  .reg .pred p<3>;\n  .reg .b32 r<8>, a<4>, d<128>;\n  .reg .b64 x<8>;\n");
    text.append(
        """
          mov.u32 r0, %%tid.x;
          ld.param.u64 x0, [image];
          mov.u32 r1, r0;
        COPY:
          mad.wide.u32 x3, r1, 4, x0;
          ld.global.u32 r2, [x3];
          mov.u32 r3, memory;
          mad.lo.u32 r3, r1, 4, r3;
          st.shared.u32 [r3], r2;
          add.u32 r1, r1, 128;
          setp.lt.u32 p0, r1, %d;
          @p0 bra COPY;
          fence.proxy.async;
          bar.sync 0;
          ld.param.u64 x4, [result];
          mad.wide.u32 x4, r0, %d, x4;
        """
            .formatted(SHARED / 4, 4 * form.registers()));
    for (int i = 0; i < form.registers(); i++) {
      text.append("  ld.global.u32 d%d, [x4+%d];\n".formatted(i, 4 * i));
    }
    text.append("  ld.param.u64 x5, [fragments];\n  mad.wide.u32 x5, r0, 16, x5;\n");
    text.append("  ld.global.v4.u32 {a0, a1, a2, a3}, [x5];\n");
    text.append("  mov.u64 x1, " + form.a().descriptor(0) + ";\n");
    text.append("  mov.u64 x2, " + form.b().descriptor(B_START) + ";\n");
    text.append("  setp.eq.u32 p1, %d, 1;\n".formatted(form.scaleD()));
    text.append("  wgmma.fence.sync.aligned;\n  " + form.instruction() + "\n");
    text.append("  wgmma.commit_group.sync.aligned;\n" + between);
    text.append("  wgmma.wait_group.sync.aligned 0;\n");
    for (int i = 0; i < form.registers(); i++) {
      text.append("  st.global.u32 [x4+%d], d%d;\n".formatted(4 * i, i));
    }
    return text.append("  ret;\n}\n").toString();
  }

  /** Operands of a product, as matrices and as the kernel gets them. */
  private static final class Operands {
    private final Form form;
    private final int[][] a;
    private final int[][] b;
    private final int[][] d;

    Operands(Form form) {
      Random random = new Random(17);
      this.form = form;
      a = matrix(random, ROWS, form.element().depth());
      b = matrix(random, form.columns(), form.element().depth());
      d = matrix(random, ROWS, form.columns());
    }

    private static int[][] matrix(Random random, int rows, int columns) {
      int[][] matrix = new int[rows][columns];
      for (int[] row : matrix) {
        for (int i = 0; i < columns; i++) {
          row[i] = random.nextInt(-4, 5);
        }
      }
      return matrix;
    }

    int[] image() {
      byte[] bytes = new byte[SHARED];
      put(bytes, 0, a, form.a());
      put(bytes, B_START, b, form.b());
      int[] words = new int[SHARED / 4];
      for (int i = 0; i < SHARED; i++) {
        words[i / 4] |= (bytes[i] & 0xFF) << 8 * (i % 4);
      }
      return words;
    }

    private void put(byte[] bytes, int start, int[][] matrix, Layout layout) {
      int size = form.element().bits / 8;
      for (int row = 0; row < matrix.length; row++) {
        for (int k = 0; k < matrix[row].length; k++) {
          long code = form.element().encode(matrix[row][k]);
          for (int i = 0; i < size; i++) {
            bytes[start + layout.offset(row, k, size) + i] = (byte) (code >> 8 * i);
          }
        }
      }
    }

    /** Registers of A: the fragment of a warp is that of mma. */
    int[] fragments() {
      int[] registers = new int[THREADS * 4];
      int perRegister = 32 / form.element().bits;
      for (int thread = 0; thread < THREADS; thread++) {
        for (int register = 0; register < 4; register++) {
          int row = thread / 32 * 16 + thread % 32 / 4 + 8 * (register % 2);
          int k = (thread % 4 + register / 2 * 4) * perRegister;
          for (int i = 0; i < perRegister; i++) {
            long code = form.element().encode(a[row][k + i]);
            registers[4 * thread + register] |= (int) (code << form.element().bits * i);
          }
        }
      }
      return registers;
    }

    /** Registers of D: as they are, or after the product. */
    int[] accumulators(boolean multiplied) {
      int count = form.registers();
      int[] registers = new int[THREADS * count];
      for (int thread = 0; thread < THREADS; thread++) {
        for (int i = 0; i < form.columns() / 2; i++) {
          int row = thread / 32 * 16 + thread % 32 / 4 + 8 * (i / 2 % 2);
          int column = i / 4 * 8 + thread % 4 * 2 + i % 2;
          int value = multiplied ? product(row, column) : d[row][column];
          switch (form.result()) {
            case "f32" -> registers[thread * count + i] = Float.floatToRawIntBits(value);
            case "s32" -> registers[thread * count + i] = value;
            default ->
                registers[thread * count + i / 2] |=
                    (int) ShortFloat.F16.round(value, RoundingMode.HALF_EVEN, false)
                        << 16 * (i % 2);
          }
        }
      }
      return registers;
    }

    private int product(int row, int column) {
      int sum = form.scaleD() * d[row][column];
      for (int k = 0; k < form.element().depth(); k++) {
        sum += form.signA() * a[row][k] * form.signB() * b[column][k];
      }
      return sum;
    }
  }

  private static void multiply(String ptx, String kernel, Form form) {
    Operands operands = new Operands(form);
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      int[] before = operands.accumulators(false);
      var result = runner.buffer(before);
      runner.allowShared(kernel, SHARED);
      runner.launch(
          kernel,
          1,
          THREADS,
          SHARED,
          runner.buffer(operands.image()),
          runner.buffer(operands.fragments()),
          result);
      assertThat(runner.ints(result, before.length)).isEqualTo(operands.accumulators(true));
    }
  }

  /** Overwriting an operand before the wait is a race on hardware. */
  @Test
  void operandsMayNotChangeBeforeTheWait() throws IOException {
    Form form = new Form(Element.BF16, "f32", 64, k(3), k(3), false, 1, 1, 1);
    String overwrite = "  bar.sync 0;\n  mov.u32 r3, memory;\n  st.shared.u32 [r3], r0;\n";
    assertFails(form, kernel("overwrites", form, overwrite), "overwrites");
  }

  @Test
  void productsMustBeWaitedFor() throws IOException {
    Form form = new Form(Element.BF16, "f32", 64, k(3), k(3), false, 1, 1, 1);
    String kernel = kernel("forgets", form, "").replace("  wgmma.wait_group.sync.aligned 0;\n", "");
    assertFails(form, kernel, "forgets");
  }

  @Test
  void productsNeedAFenceBeforeThem() throws IOException {
    Form form = new Form(Element.BF16, "f32", 64, k(3), k(3), false, 1, 1, 1);
    String kernel = kernel("hurries", form, "").replace("  wgmma.fence.sync.aligned;\n", "");
    assertFails(form, kernel, "hurries");
  }

  private static void assertFails(Form form, String text, String kernel) throws IOException {
    String ptx =
        ".version 8.0\n.target sm_90a\n.address_size 64\n.extern .shared .align 1024 .b8 memory[];\n"
            + text;
    assertThat(PtxRunner.compile(ptx).untranslated()).isEmpty();
    assertThatThrownBy(() -> multiply(ptx, kernel, form))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("LAUNCH_FAILED");
  }
}
