package dev.quench.cuda.standin;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.math.RoundingMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Kernels of others, which are known to be right on hardware: what the stand-in makes of wgmma,
 * TMA, mbarriers, mma and cp.async is not only what our own kernels take them for. They are:
 *
 * <ul>
 *   <li>{@code matmul_4} and {@code matmul_7} of <a
 *       href="https://github.com/pranjalssh/fast.cu">fast.cu</a> (MIT licence, © 2024 Pranjal
 *       Shankhdhar), matrix products for the H100;
 *   <li>{@code Marlin} of <a href="https://github.com/IST-DASLab/marlin">IST-DASLab/marlin</a>
 *       (Apache licence 2.0), a product with weights of 4 bits for Ampere.
 * </ul>
 *
 * <p>Nothing of them is in this repository: a test takes the file from the folder
 * QUENCH_PUBLISHED_KERNELS or fetches it, at a fixed commit and with a fixed SHA-256, and is
 * skipped if it can't. With small integers all sums are exact, so that results are compared bit by
 * bit.
 */
final class PublishedKernelTest {
  private static final Pattern ENTRY = Pattern.compile("\\.entry (\\w+)\\(");
  private static final String FAST =
      "https://raw.githubusercontent.com/pranjalssh/fast.cu/38eb642e0c081231d6f695978be63604bd7c689b/examples/matmul/";
  private static final String MARLIN =
      "https://raw.githubusercontent.com/IST-DASLab/marlin/2f6d7c10e124b3c5fa29ff8d77d568bd7af3274c/marlin/";

  private static final String FAST_HEAD =
      """
      #include <cuda.h>
      #include <cuda/barrier>
      #include <cuda_bf16.h>
      #include <cassert>
      typedef __nv_bfloat16 bf16;
      #define CEIL_DIV(M, N) (((M) + (N)-1) / (N))
      #define cudaCheck(err) (err)
      """;

  @TempDir Path folder;

  @BeforeAll
  static void build() {
    PtxRunner.require();
  }

  /** Compiles a published file, included by a text that may ask for an instance of its kernel. */
  private String compile(Published file, String target, String text) throws IOException {
    file.into(folder);
    Path source = Files.writeString(folder.resolve("instance.cu"), text);
    Path result = folder.resolve("instance.ptx");
    Programs.run(
        folder.resolve("nvcc.log"),
        List.of(
            Published.nvcc().toString(),
            "-std=c++17",
            "--expt-relaxed-constexpr",
            "-arch=" + target,
            "-ptx",
            source.toString(),
            "-o",
            result.toString()));
    // The driver that the stand-in takes after reads 8.0; nothing newer is used.
    String ptx = Files.readString(result).replaceFirst("\\.version \\d\\.\\d", ".version 8.0");
    assertThat(PtxRunner.compile(ptx).untranslated()).isEmpty();
    return ptx;
  }

  private static String entry(String ptx) {
    Matcher matcher = ENTRY.matcher(ptx);
    assertThat(matcher.results().count()).as("kernels").isOne();
    matcher.reset();
    assertThat(matcher.find()).isTrue();
    return matcher.group(1);
  }

  // ---- fast.cu: C = A · Bᵀ in bf16, C stored by columns

  private record Product(int m, int n, int k, int[][] a, int[][] b) {
    static Product random(int m, int n, int k) {
      Random random = new Random(3);
      return new Product(m, n, k, matrix(random, m, k), matrix(random, n, k));
    }

    private static int[][] matrix(Random random, int rows, int columns) {
      int[][] matrix = new int[rows][];
      for (int i = 0; i < rows; i++) {
        matrix[i] = random.ints(columns, -3, 4).toArray();
      }
      return matrix;
    }

    /** Elements of bf16, two in an int. */
    static int[] packed(int[][] matrix) {
      int columns = matrix[0].length;
      int[] words = new int[matrix.length * columns / 2];
      for (int i = 0; i < 2 * words.length; i++) {
        words[i / 2] |= bfloat(matrix[i / columns][i % columns]) << 16 * (i % 2);
      }
      return words;
    }

    /** To the nearest, ties to even. */
    private static int bfloat(int value) {
      int bits = Float.floatToRawIntBits(value);
      return bits + 0x7FFF + (bits >>> 16 & 1) >>> 16;
    }

    int[] expected() {
      int[] words = new int[m * n / 2];
      for (int column = 0; column < n; column++) {
        for (int row = 0; row < m; row++) {
          int sum = 0;
          for (int i = 0; i < k; i++) {
            sum += a[row][i] * b[column][i];
          }
          int place = column * m + row;
          words[place / 2] |= bfloat(sum) << 16 * (place % 2);
        }
      }
      return words;
    }
  }

  /** libcu++ barriers, a producer and a consumer warpgroup, five stages, wgmma m64n128k16. */
  @Test
  void fastMatmul4() throws IOException {
    String ptx =
        compile(
            new Published(
                FAST + "matmul_4.cuh",
                "1cf4ed06360d8dfbbd2ef62c6918459dad46af9fe86ea7f29a5779ed2cea4137",
                ""),
            "sm_90a",
            FAST_HEAD + "#include \"matmul_4.cuh\"\n");
    Product product = Product.random(256, 128, 512);
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      CUdeviceptr a = runner.buffer(Product.packed(product.a()));
      CUdeviceptr b = runner.buffer(Product.packed(product.b()));
      CUdeviceptr c = runner.buffer(new int[product.m() * product.n() / 2]);
      byte[] mapA = matrixMap(a, product.m(), product.k(), 128);
      byte[] mapB = matrixMap(b, product.n(), product.k(), 128);
      Pointer[] parameters = {
        number(product.m()),
        number(product.n()),
        number(product.k()),
        Pointer.to(c),
        Pointer.to(runner.buffer(words(mapA))),
        Pointer.to(runner.buffer(words(mapB)))
      };
      int shared = 5 * 2 * 128 * 64 * 2;
      runner.allowShared(entry(ptx), shared);
      runner.launch(entry(ptx), 2, 256, shared, parameters);
      assertThat(runner.ints(c, product.m() * product.n() / 2)).isEqualTo(product.expected());
    }
  }

  private static byte[] matrixMap(CUdeviceptr matrix, int rows, int columns, int boxRows) {
    return TensorMaps.encode(
        TensorMaps.BFLOAT16,
        matrix,
        new long[] {columns, rows},
        new long[] {2L * columns},
        new int[] {64, boxRows},
        3);
  }

  /**
   * Two consumer warpgroups of which one thread each frees a stage; setmaxnreg; 5-dimensional TMA.
   */
  @Test
  void fastMatmul7() throws IOException {
    String ptx =
        compile(
            new Published(
                FAST + "matmul_7.cuh",
                "d8b4d046427a1c2462cf074fccd2171c9cc81c0a3b92ddac6b90bf80169f4c82",
                ""),
            "sm_90a",
            FAST_HEAD + "#include \"matmul_7.cuh\"\n");
    Product product = Product.random(2048, 4096, 128);
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      CUdeviceptr a = runner.buffer(Product.packed(product.a()));
      CUdeviceptr b = runner.buffer(Product.packed(product.b()));
      CUdeviceptr c = runner.buffer(new int[product.m() * product.n() / 2]);
      Pointer[] parameters = {
        number(product.m()),
        number(product.n()),
        number(product.k()),
        Pointer.to(c),
        Pointer.to(panelMap(a, product.m(), product.k(), 128)),
        Pointer.to(panelMap(b, product.n(), product.k(), 256))
      };
      int shared = 3 * (128 + 256) * 64 * 2;
      runner.allowShared(entry(ptx), shared);
      runner.launch(entry(ptx), 128, 384, shared, parameters);
      assertThat(runner.ints(c, product.m() * product.n() / 2)).isEqualTo(product.expected());
    }
  }

  /** A matrix as panels of 64 columns. */
  private static byte[] panelMap(CUdeviceptr matrix, int rows, int columns, int boxRows) {
    return TensorMaps.encode(
        TensorMaps.BFLOAT16,
        matrix,
        new long[] {64, rows, columns / 64, 1, 1},
        new long[] {2L * columns, 128, 0, 0},
        new int[] {64, boxRows, 1, 1, 1},
        3);
  }

  private static Pointer number(int value) {
    return Pointer.to(new int[] {value});
  }

  private static int[] words(byte[] bytes) {
    return IntStream.range(0, bytes.length / 4)
        .map(
            i ->
                IntStream.range(0, 4)
                    .map(k -> (bytes[4 * i + k] & 0xFF) << 8 * k)
                    .reduce(0, (x, y) -> x | y))
        .toArray();
  }

  // ---- Marlin: C = A · W, W in 4 bits with scales of groups of 128

  private static final int GROUP = 128;

  /** mma m16n8k16 f16, cp.async with four stages, ldmatrix, lop3, f16x2 arithmetic. */
  @Test
  void marlin() throws IOException {
    String ptx =
        compile(
            new Published(
                MARLIN + "marlin_cuda_kernel.cu",
                "dd7ee08c62cb0ef6d6f905bc6bbd8adfb7808a95f62127eb52707c56f72eabae",
                // What launches kernels asks for ten instances.
                "const int THREADS = 256;"),
            "sm_80",
            "#include \"marlin_cuda_kernel.cu\"\n"
                + "template __global__ void Marlin<256, 1, 8, 8, 4, 8>("
                + "const int4*, const int4*, int4*, const int4*, int, int, int, int*);\n");
    int m = 13;
    int n = 256;
    int k = 512;
    Random random = new Random(9);
    int[][] a = Product.matrix(random, m, k);
    int[][] codes = new int[k][];
    for (int i = 0; i < k; i++) {
      codes[i] = random.ints(n, 0, 16).toArray();
    }
    double[][] scales = new double[k / GROUP][n];
    for (double[] row : scales) {
      for (int i = 0; i < n; i++) {
        row[i] = Math.scalb(1.0, random.nextInt(-3, 2));
      }
    }
    int[] expected = new int[m * n / 2];
    for (int row = 0; row < m; row++) {
      for (int column = 0; column < n; column++) {
        double sum = 0;
        for (int i = 0; i < k; i++) {
          sum += a[row][i] * (codes[i][column] - 8) * scales[i / GROUP][column];
        }
        put(expected, row * n + column, sum);
      }
    }
    int[] halvesOfA = new int[m * k / 2];
    for (int i = 0; i < m * k; i++) {
      put(halvesOfA, i, a[i / k][i % k]);
    }
    try (PtxRunner runner = PtxRunner.load(ptx)) {
      CUdeviceptr c = runner.buffer(new int[m * n / 2]);
      Pointer[] parameters = {
        Pointer.to(runner.buffer(halvesOfA)),
        Pointer.to(runner.buffer(marlinWeight(codes))),
        Pointer.to(c),
        Pointer.to(runner.buffer(marlinScales(scales))),
        number(m),
        number(n),
        number(k),
        Pointer.to(runner.buffer(new int[n]))
      };
      int shared = 96 << 10;
      runner.allowShared(entry(ptx), shared);
      runner.launch(entry(ptx), 1, 256, shared, parameters);
      assertThat(runner.ints(c, m * n / 2)).isEqualTo(expected);
    }
  }

  private static void put(int[] words, int index, double value) {
    long code = ShortFloat.F16.round(value, RoundingMode.HALF_EVEN, false);
    words[index / 2] |= (int) code << 16 * (index % 2);
  }

  /**
   * The weight as Marlin wants it: tiles of 16×16 behind each other; 1024 codes (four tiles) in the
   * order in which lanes need them, eight codes in a word.
   */
  private static int[] marlinWeight(int[][] codes) {
    int k = codes.length;
    int n = codes[0].length;
    int[] tiles = new int[k * n];
    int at = 0;
    for (int tileRow = 0; tileRow < k / 16; tileRow++) {
      for (int tileColumn = 0; tileColumn < n / 16; tileColumn++) {
        for (int i = 0; i < 256; i++) {
          tiles[at++] = codes[16 * tileRow + i / 16][16 * tileColumn + i % 16];
        }
      }
    }
    int[] order = marlinOrder();
    int[] words = new int[k * n / 8];
    for (int i = 0; i < tiles.length; i++) {
      int code = tiles[i / 1024 * 1024 + order[i % 1024]];
      words[i / 8] |= code << 4 * (i % 8);
    }
    return words;
  }

  /** For each lane and tile: the elements of two fragments of B, first the even ones. */
  private static int[] marlinOrder() {
    List<Integer> order = new ArrayList<>();
    for (int lane = 0; lane < 32; lane++) {
      for (int tile = 0; tile < 4; tile++) {
        int[] elements = new int[8];
        for (int i = 0; i < 8; i++) {
          int row = 2 * (lane % 4) + i % 2 + (i / 2 % 2) * 8;
          int column = lane / 4 + i / 4 * 8;
          elements[i] = 16 * row + column + 256 * tile;
        }
        for (int i : new int[] {0, 2, 4, 6, 1, 3, 5, 7}) {
          order.add(elements[i]);
        }
      }
    }
    return order.stream().mapToInt(Integer::intValue).toArray();
  }

  /** Of 64 columns, first those of lane group 0, then 1, …. */
  private static int[] marlinScales(double[][] scales) {
    int n = scales[0].length;
    int[] words = new int[scales.length * n / 2];
    for (int i = 0; i < scales.length * n; i++) {
      int column = i % n / 64 * 64 + i % 64 / 8 + i % 8 * 8;
      put(words, i, scales[i / n][column]);
    }
    return words;
  }
}
