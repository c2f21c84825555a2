package dev.quench.device;

import static dev.quench.device.Matrices.absolute;
import static dev.quench.device.Matrices.gamma;
import static dev.quench.device.Matrices.product;
import static dev.quench.device.Matrices.upper;
import static dev.quench.device.Operand.floats;
import static dev.quench.device.Operand.ints;
import static dev.quench.device.Operand.output;
import static dev.quench.device.QuantizationCases.MXFP4;
import static dev.quench.device.QuantizationCases.MXFP8;
import static dev.quench.device.QuantizationCases.NVFP4;
import static dev.quench.device.QuantizationCases.args;
import static dev.quench.device.QuantizationCases.codeDtype;
import static dev.quench.device.QuantizationCases.describe;
import static dev.quench.device.QuantizationCases.globalScale;
import static dev.quench.device.QuantizationCases.gridColumns;
import static dev.quench.device.QuantizationCases.gridRows;
import static dev.quench.device.QuantizationCases.zeroPoints;
import static dev.quench.tensor.DType.BF16;
import static dev.quench.tensor.DType.F16;
import static dev.quench.tensor.DType.F32;
import static dev.quench.tensor.DType.F8_E4M3;
import static dev.quench.tensor.DType.I32;
import static dev.quench.tensor.DType.I8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.quench.device.Operand.Kind;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Strategy;
import dev.quench.quantization.RangeSearch;
import dev.quench.tensor.DType;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every operation of every device against {@link ReferenceDevice}, named as the operation is. Exact
 * operations must give the same bytes. The others are held to bounds that follow from their sums
 * and products in F32, whose unit roundoff is u = 2⁻²⁴; γ(n) = n·u / (1 − n·u) bounds n roundings
 * (Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 3). One u in each of them
 * is the reference's own rounding.
 *
 * <p>A subclass names the devices.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class DeviceParityTest {
  record Subject(String name, Supplier<Device> open) {
    @Override
    public String toString() {
      return name;
    }
  }

  abstract List<Subject> devices();

  private static final double U = 0x1p-24;

  /** Half the distance of subnormal floats: what a rounding near 0 may add. */
  private static final double TINY = 0x1p-150;

  /** Roundings that an exponential within 2 units in the last place stands for. */
  private static final int EXP = 4;

  private static final List<DType> FLOATS = List.of(F32, BF16, F16);

  /** Rows and columns; the last is cut into several tasks. */
  private static final int[][] SHAPES = {
    {1, 1},
    {1, 7},
    {3, 31},
    {2, 32},
    {5, 33},
    {33, 5},
    {3, 127},
    {4, 128},
    {7, 137},
    {2, 300},
    {440, 301}
  };

  private static final int[][] SMALL_SHAPES = Arrays.copyOf(SHAPES, SHAPES.length - 1);

  @Test
  void everyOperationHasATest() {
    Set<String> frame =
        Set.of("description", "openScope", "download", "sharesHostMemory", "synchronize", "close");
    Set<String> operations = new TreeSet<>();
    for (Method method : Device.class.getDeclaredMethods()) {
      if (Modifier.isAbstract(method.getModifiers()) && !frame.contains(method.getName())) {
        operations.add(method.getName());
      }
    }
    assertThat(Stream.of(DeviceParityTest.class.getDeclaredMethods()).map(Method::getName))
        .containsAll(operations);
  }

  // ---- moving

  @ParameterizedTest
  @MethodSource("devices")
  void convert(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : SHAPES) {
        for (DType from : FLOATS) {
          for (DType to : FLOATS) {
            Operand x = floats(from, shape[0], shape[1], Kind.BITS, 1);
            moves(
                parity,
                from,
                to,
                (d, t) -> d.convert(t[0], t[1]),
                x,
                output(to, shape[0], shape[1]));
          }
        }
        Operand codes = Operand.bytes(I8, shape[0], shape[1], 2);
        parity.copies(
            "I8 to F32", (d, t) -> d.convert(t[0], t[1]), codes, output(F32, shape[0], shape[1]));
        parity.copies("I8", (d, t) -> d.convert(t[0], t[1]), codes, output(I8, shape[0], shape[1]));
      }
      // Halfway between neighbours, and the neighbours of that.
      for (DType to : List.of(BF16, F16)) {
        int shift = to == BF16 ? 15 : 12;
        SplittableRandom random = new SplittableRandom(3);
        Operand ties =
            floats(
                F32,
                40,
                1000,
                i ->
                    Float.intBitsToFloat(
                        (random.nextInt() & (-1 << (shift + 1)) | 1 << shift) + i % 3 - 1));
        parity.exact("ties to " + to, (d, t) -> d.convert(t[0], t[1]), ties, output(to, 40, 1000));
      }
    }
  }

  /** Without a cast all bits stay; with one, a NaN stays a NaN. */
  private static void moves(
      Parity parity, DType from, DType to, Parity.Operation operation, Operand... operands) {
    String what = from + " to " + to;
    if (from == to) {
      parity.copies(what, operation, operands);
    } else {
      parity.exact(what, operation, operands);
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void transpose(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : SHAPES) {
        for (DType from : FLOATS) {
          for (DType to : FLOATS) {
            Operand x = floats(from, shape[0], shape[1], Kind.BITS, 1);
            moves(
                parity,
                from,
                to,
                (d, t) -> d.transpose(t[0], t[1]),
                x,
                output(to, shape[1], shape[0]));
          }
        }
        for (DType same : List.of(I8, F8_E4M3, I32)) {
          Operand x = Operand.bytes(same, shape[0], shape[1], 2);
          parity.copies(
              "" + same, (d, t) -> d.transpose(t[0], t[1]), x, output(same, shape[1], shape[0]));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void gatherRows(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : SHAPES) {
        int[] index = new SplittableRandom(1).ints(shape[0] + 3, 0, shape[0]).toArray();
        for (DType from : FLOATS) {
          for (DType to : FLOATS) {
            moves(
                parity,
                from,
                to,
                (d, t) -> d.gatherRows(t[0], t[1], t[2]),
                floats(from, shape[0], shape[1], Kind.BITS, 1),
                ints(index),
                output(to, index.length, shape[1]));
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void gatherSymmetric(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int n : new int[] {1, 7, 33, 137, 300}) {
        Operand lower =
            floats(F32, n, n, i -> i / n >= i % n ? i : Double.NaN); // nothing to read above
        parity.exact(
            "n " + n,
            (d, t) -> {
              d.gatherSymmetric(t[0], t[1], t[2]);
              clearBelowDiagonal(d, t[2]);
            },
            lower,
            ints(permutation(n, 1)),
            output(F32, n, n));
      }
    }
  }

  /** Below the diagonal the result is unspecified: zeros make it comparable. */
  private static void clearBelowDiagonal(Device device, Tensor matrix) {
    try (Scope scope = device.openScope()) {
      for (long r = 1; r < matrix.rows(); r++) {
        device.convert(scope.zeros(matrix.dtype(), 1, r), matrix.slice(r, 1, 0, r));
      }
    }
  }

  private static int[] permutation(int n, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int[] order = new int[n];
    for (int i = 0; i < n; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }

  @ParameterizedTest
  @MethodSource("devices")
  void diagonal(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int n : new int[] {1, 7, 33, 300}) {
        Operand matrix = floats(F32, n, n, Kind.BITS, n);
        parity.copies("n " + n, (d, t) -> d.diagonal(t[0], t[1]), matrix, output(F32, 1, n));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void setDiagonal(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int n : new int[] {1, 7, 33, 300}) {
        Operand values = floats(F32, 1, n, Kind.BITS, n);
        Operand matrix = floats(F32, n, n, Kind.BITS, n + 1).inPlace();
        parity.copies("n " + n, (d, t) -> d.setDiagonal(t[0], t[1]), values, matrix);
      }
    }
  }

  // ---- matrix products

  @ParameterizedTest
  @MethodSource("devices")
  void gemm(Subject subject) {
    int[][] sizes = {
      {1, 1, 1},
      {1, 7, 31},
      {33, 32, 31},
      {7, 137, 128},
      {128, 128, 128},
      {127, 1, 300},
      {190, 211, 137}
    };
    try (Parity parity = new Parity(subject.open)) {
      for (int[] size : sizes) {
        for (int flags = 0; flags < 4; flags++) {
          for (float beta : new float[] {0, 1, -0.5f}) {
            gemm(parity, size[0], size[1], size[2], (flags & 1) != 0, (flags & 2) != 0, beta);
          }
        }
      }
    }
  }

  private static void gemm(
      Parity parity, int m, int n, int k, boolean transposeA, boolean transposeB, float beta) {
    float alpha = -0.75f;
    Operand a = floats(F32, transposeA ? k : m, transposeA ? m : k, Kind.PLAIN, 1);
    Operand b = floats(F32, transposeB ? n : k, transposeB ? k : n, Kind.PLAIN, 2);
    // With beta 0 the NaNs of an output must not be read.
    Operand c = beta == 0 ? output(F32, m, n) : floats(F32, m, n, Kind.PLAIN, 3).inPlace();
    double[][] left = transposeA ? Matrices.transpose(a.doubles()) : a.doubles();
    double[][] right = transposeB ? Matrices.transpose(b.doubles()) : b.doubles();
    double[][] magnitudes = product(absolute(left), absolute(right));
    parity.within(
        "gemm %d %d %d %s %s beta %s".formatted(m, n, k, transposeA, transposeB, beta),
        2,
        // k products and their sum in any order, alpha, beta, the last sum; the reference.
        (i, j) ->
            gamma(k + 4)
                * (Math.abs(alpha) * magnitudes[i][j]
                    + (beta == 0 ? 0 : Math.abs(beta * c.get(i, j)))),
        (d, t) -> d.gemm(alpha, t[0], transposeA, t[1], transposeB, beta, t[2]),
        a,
        b,
        c);
  }

  /**
   * The products of all tokens and their sum, in any order. Tensor cores cut off instead of
   * rounding, which costs up to two units, but they add the products of several tokens at once, and
   * first the small ones of numbers that are split: one more unit for those, and for their sum.
   * Then the sum with h, and the reference.
   */
  @ParameterizedTest
  @MethodSource("devices")
  void syrk(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] size :
          new int[][] {{1, 1}, {7, 33}, {300, 7}, {33, 137}, {128, 128}, {1100, 65}}) {
        for (DType dtype : List.of(F32, BF16)) {
          syrk(parity, floats(dtype, size[0], size[1], Kind.PLAIN, 1));
        }
        // What fits into two or one of the parts that a device may cut numbers into.
        syrk(parity, floats(F32, size[0], size[1], i -> (i * 37 % 4001 - 2000) * 0x1p-9));
        syrk(parity, floats(F32, size[0], size[1], Kind.TIES, 3));
      }
    }
  }

  private static void syrk(Parity parity, Operand x) {
    int tokens = x.rows();
    int n = x.columns();
    Operand h = floats(F32, n, n, Kind.PLAIN, 2).inPlace();
    double[][] magnitudes = absolute(x.doubles());
    double[][] sums = product(Matrices.transpose(magnitudes), magnitudes);
    parity.within(
        "syrk of " + x,
        1,
        (i, j) ->
            j > i
                ? Double.POSITIVE_INFINITY // unspecified
                : gamma(tokens + 4) * (sums[i][j] + Math.abs(h.get(i, j))),
        (d, t) -> d.syrk(t[0], t[1]),
        x,
        h);
  }

  @ParameterizedTest
  @MethodSource("devices")
  void reverseCholesky(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int n : new int[] {1, 2, 7, 33, 64, 65, 137, 300}) {
        Operand h = positiveDefinite(n);
        Parity.Operation factor =
            (d, t) -> assertThat(d.reverseCholesky(t[0])).isEqualTo(OptionalLong.empty());
        List<Operand> results = new ArrayList<>(List.of(parity.onReference(factor, h).getFirst()));
        parity.onTested(factor, h).forEach(after -> results.add(after.getFirst()));
        for (Operand result : results) {
          checkFactor(h, result);
        }
        // A pivot that isn't positive and finite: the column is named.
        for (float pivot : new float[] {-1, 0, Float.NaN, Float.POSITIVE_INFINITY}) {
          int column = n / 2;
          Operand broken =
              floats(F32, n, n, i -> i == column * n + column ? pivot : h.get(i / n, i % n))
                  .inPlace();
          Parity.Operation fails =
              (d, t) -> assertThat(d.reverseCholesky(t[0])).as("%s", pivot).hasValue(column);
          parity.onReference(fails, broken);
          parity.onTested(fails, broken);
        }
      }
    }
  }

  /** The upper triangle of a well-conditioned matrix; below it NaN, which nobody reads. */
  private static Operand positiveDefinite(int n) {
    double[][] x = floats(F32, 2 * n, n, Kind.PLAIN, n).doubles();
    double[][] gram = product(Matrices.transpose(x), x);
    return floats(
            F32,
            n,
            n,
            i -> i / n > i % n ? Double.NaN : gram[i / n][i % n] + (i / n == i % n ? 2 * n : 0))
        .inPlace();
  }

  /**
   * {@code |R·Rᵀ − H| ≤ γ(n + 1)·|R||Rᵀ|} with substitutions (Higham 2002, theorem 10.3). Where a
   * panel is instead multiplied by the inverse of its diagonal block D, X = H·D⁻ᵀ is off by
   * γ·|H||D⁻ᵀ| with |H| ≤ |X||Dᵀ|, and so X·Dᵀ by γ·|X||Dᵀ||D⁻ᵀ||Dᵀ|.
   */
  private static void checkFactor(Operand h, Operand result) {
    int n = h.rows();
    double[][] after = result.doubles();
    double[][] r = upper(after);
    double[][] u = inverseOfUpper(r);
    double[][] magnitudes = product(absolute(r), absolute(Matrices.transpose(r)));
    double[][] byInverses =
        product(
            magnitudes, product(absolute(Matrices.transpose(u)), absolute(Matrices.transpose(r))));
    double[][] rrt = product(r, Matrices.transpose(r));
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        if (j < i) {
          assertThat(after[i][j]).as("below the diagonal").isNaN();
        } else {
          assertThat(Math.abs(rrt[i][j] - h.get(i, j)))
              .as("R·Rᵀ − H at (%d, %d) of %d", i, j, n)
              .isLessThanOrEqualTo(gamma(n + 4) * (magnitudes[i][j] + byInverses[i][j]));
        }
      }
    }
  }

  private static double[][] inverseOfUpper(double[][] r) {
    int n = r.length;
    double[][] u = new double[n][n];
    for (int i = n - 1; i >= 0; i--) {
      u[i][i] = 1 / r[i][i];
      for (int k = i + 1; k < n; k++) {
        for (int j = k; j < n; j++) {
          u[i][j] -= r[i][k] * u[k][j] / r[i][i];
        }
      }
    }
    return u;
  }

  /**
   * Let M = |U||R|. Substitution is off by γ·M|U|; multiplying a panel by the inverse of its
   * diagonal block, which was found in the same way, by another factor M for each level of blocks:
   * up to three, since 64·2³ is more than the largest size.
   */
  @ParameterizedTest
  @MethodSource("devices")
  void invertUpper(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int n : new int[] {1, 2, 7, 33, 64, 65, 137, 300}) {
        Operand r =
            parity.onReference((d, t) -> d.reverseCholesky(t[0]), positiveDefinite(n)).getFirst();
        double[][] u = absolute(inverseOfUpper(upper(r.doubles())));
        double[][] m = product(u, absolute(upper(r.doubles())));
        double[][] one = product(m, u);
        double[][] two = product(m, one);
        double[][] three = product(m, two);
        double[][] four = product(m, three);
        parity.within(
            "n " + n,
            0,
            (i, j) ->
                j < i ? 0 : gamma(2 * n + 6) * (one[i][j] + two[i][j] + three[i][j] + four[i][j]),
            (d, t) -> d.invertUpper(t[0]),
            r.inPlace());
      }
    }
  }

  // ---- rotations

  /**
   * A sum for each power of two, a sum over the base, the factor and its rounding; the reference.
   */
  @ParameterizedTest
  @MethodSource("devices")
  void hadamard(Subject subject) {
    int[] sizes = {
      1, 2, 4, 8, 16, 32, 64, 128, 512, 2048, 12, 20, 28, 36, 24, 40, 112, 144, 640, 768
    };
    try (Parity parity = new Parity(subject.open)) {
      for (int size : sizes) {
        hadamard(parity, 3, size, size);
        hadamard(parity, 2, 3 * size, size);
      }
      hadamard(parity, 130, 128, 64);
      // Rows of models.
      hadamard(parity, 1, 8192, 8192);
      hadamard(parity, 1, 14336, 14336);
    }
  }

  private static void hadamard(Parity parity, int rows, int columns, int size) {
    HadamardMatrix matrix = HadamardMatrix.of(size);
    for (Kind kind : List.of(Kind.PLAIN, Kind.ZEROS)) {
      Operand x = floats(F32, rows, columns, kind, size).inPlace();
      double[][] sums = new double[rows][columns / size];
      for (int r = 0; r < rows; r++) {
        for (int c = 0; c < columns; c++) {
          sums[r][c / size] += Math.abs(x.get(r, c));
        }
      }
      parity.within(
          "hadamard " + size + " of " + x + " " + kind,
          0,
          (r, c) ->
              gamma(matrix.log2() + matrix.base() + 3) * sums[r][c / size] / Math.sqrt(size)
                  + 2 * TINY,
          (d, t) -> d.hadamard(t[0], size),
          x);
    }
  }

  // ---- quantization

  /** All widths, both symmetries, all strategies, both types. */
  private static List<QuantizationArgs> formats() {
    List<QuantizationArgs> formats = new ArrayList<>();
    for (boolean symmetric : new boolean[] {true, false}) {
      for (int bits = 1; bits <= 8; bits++) {
        formats.add(args("num_bits", bits, "symmetric", symmetric, "group_size", 32));
      }
      formats.add(args("num_bits", 8, "symmetric", symmetric, "strategy", "channel"));
      formats.add(args("num_bits", 4, "symmetric", symmetric, "strategy", "tensor"));
      formats.add(args("num_bits", 8, "symmetric", symmetric, "block_structure", List.of(5, 33)));
    }
    formats.add(args("type", "float", "group_size", 32));
    formats.add(args("type", "float", "strategy", "channel"));
    formats.add(args("type", "float", "strategy", "tensor"));
    formats.add(args("type", "float", "block_structure", List.of(5, 33)));
    formats.add(NVFP4);
    formats.add(MXFP4);
    formats.add(MXFP8);
    // Codes and scales in pairs that no scheme has.
    formats.add(args("type", "float", "num_bits", 4, "strategy", "channel"));
    formats.add(
        args("type", "float", "num_bits", 4, "group_size", 77, "scale_dtype", "float8_e4m3fn"));
    formats.add(args("type", "float", "block_structure", List.of(5, 33), "scale_dtype", "uint8"));
    return formats;
  }

  private interface Case {
    void run(DType dtype, int[] shape, Kind kind);
  }

  /**
   * All kinds of values in small shapes and common ones in the large one; or only ties and odd
   * values in small shapes.
   */
  private static void forCases(boolean all, Case test) {
    for (DType dtype : FLOATS) {
      for (int[] shape : SMALL_SHAPES) {
        for (Kind kind : all ? List.of(Kind.values()) : List.of(Kind.TIES, Kind.BITS)) {
          test.run(dtype, shape, kind);
        }
      }
      if (all) {
        test.run(dtype, SHAPES[SHAPES.length - 1], Kind.PLAIN);
      }
    }
  }

  /** Other widths take the same paths; what is special about them is the range of their codes. */
  private static boolean representative(QuantizationArgs args) {
    return args.strategy() != Strategy.GROUP || args.numBits() == 4;
  }

  @ParameterizedTest
  @MethodSource("devices")
  void observe(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] block : new int[][] {{1, 32}, {1, 300}, {5, 33}, {440, 301}, {33, 1}}) {
        forCases(
            true,
            (dtype, shape, kind) -> QuantizationCases.observe(parity, block, dtype, shape, kind));
      }
    }
  }

  /** Ends early, never, and where it isn't the first range that is the widest. */
  private static final List<RangeSearch> SEARCHES =
      List.of(
          new RangeSearch(20, 100, 1, 2.4, 5),
          new RangeSearch(12, 20, 1, 2, 2),
          new RangeSearch(70, 100, 1.8f, 3, 1000));

  @ParameterizedTest
  @MethodSource("devices")
  void searchRange(Subject subject) {
    assumeTrue(!subject.name.equals("CUDA"), "has no kernels for it yet");
    try (Parity parity = new Parity(subject.open)) {
      for (QuantizationArgs args : formats()) {
        if (!representative(args)) {
          continue;
        }
        RangeSearch search = SEARCHES.get(args.numBits() % SEARCHES.size());
        for (DType dtype : FLOATS) {
          for (int[] shape : SMALL_SHAPES) {
            for (Kind kind : Kind.values()) {
              parity.exact(
                  describe(args, kind, search),
                  (d, t) -> d.searchRange(t[0], args, search, t[1], t[2]),
                  floats(dtype, shape[0], shape[1], kind, 1),
                  output(dtype, gridRows(args, shape), gridColumns(args, shape)),
                  output(dtype, gridRows(args, shape), gridColumns(args, shape)));
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void quantizationParameters(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (QuantizationArgs args : formats()) {
        if (args.groupSize().isEmpty()) {
          continue; // the grid is given
        }
        forCases(
            false,
            (dtype, shape, kind) -> {
              Operand values = floats(dtype, shape[0], shape[1], kind, 1);
              Operand others = floats(dtype, shape[0], shape[1], kind, 2);
              int columns = shape[1];
              parity.exact(
                  describe(args, kind),
                  (d, t) ->
                      d.quantizationParameters(t[0], t[1], args, globalScale(args), t[2], t[3]),
                  floats(
                      dtype,
                      shape[0],
                      columns,
                      i -> Math.min(values.get(i / columns, i % columns), 0)),
                  floats(
                      dtype,
                      shape[0],
                      columns,
                      i -> Math.max(others.get(i / columns, i % columns), 0)),
                  output(args.scaleFormat().dtype(dtype), shape[0], columns),
                  output(I8, shape[0], columns));
            });
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void quantize(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (QuantizationArgs args : formats()) {
        forCases(
            representative(args),
            (dtype, shape, kind) -> QuantizationCases.quantize(parity, args, dtype, shape, kind));
      }
    }
  }

  /** Every bfloat16 as E4M3 and as E2M1, with scales of every format. */
  @ParameterizedTest
  @MethodSource("devices")
  void codesOfAllBfloat16(Subject subject) {
    Operand x = new Operand(BF16, 256, 256, allBfloat16(), false);
    try (Parity parity = new Parity(subject.open)) {
      for (QuantizationArgs args : formats()) {
        if (args.groupSize().isEmpty()) {
          continue;
        }
        DType scaleDtype = args.scaleFormat().dtype(BF16);
        int columns = gridColumns(args, new int[] {256, 256});
        for (double scale : new double[] {1, 0x1p-9, 1.5}) {
          if (scaleDtype == DType.F8_E8M0 && scale == 1.5) {
            continue; // not a power of two
          }
          parity.exact(
              describe(args, scale),
              (d, t) -> d.quantize(t[0], t[1], t[2], args, GlobalScale.NONE, t[3]),
              x,
              floats(scaleDtype, 256, columns, i -> scale),
              new Operand(I8, 256, columns, new byte[256 * columns], false),
              output(codeDtype(args), 256, 256));
        }
      }
    }
  }

  private static byte[] allBfloat16() {
    byte[] bytes = new byte[1 << 17];
    for (int i = 0; i < 1 << 16; i++) {
      bytes[2 * i] = (byte) i;
      bytes[2 * i + 1] = (byte) (i >> 8);
    }
    return bytes;
  }

  @ParameterizedTest
  @MethodSource("devices")
  void quantizeToNearest(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (QuantizationArgs args : formats()) {
        forCases(
            representative(args),
            (dtype, shape, kind) ->
                QuantizationCases.quantizeToNearest(parity, args, dtype, shape, kind));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void dequantize(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (QuantizationArgs args : formats()) {
        forCases(
            representative(args),
            (dtype, shape, kind) -> QuantizationCases.dequantize(parity, args, dtype, shape, kind));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void pack(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : SHAPES) {
        for (int bits = 1; bits <= 8; bits++) {
          QuantizationCases.pack(parity, bits, shape);
        }
        QuantizationCases.packE2m1(parity, shape);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void unpack(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : SHAPES) {
        for (int bits = 1; bits <= 8; bits++) {
          QuantizationCases.unpack(parity, bits, shape);
        }
        QuantizationCases.unpackE2m1(parity, shape);
      }
    }
  }

  // ---- solvers

  @ParameterizedTest
  @MethodSource("devices")
  void gptqBlock(Subject subject) {
    List<QuantizationArgs> formats =
        List.of(
            args("num_bits", 2, "group_size", 32),
            args("num_bits", 4, "group_size", 32),
            args("num_bits", 3, "group_size", 32, "symmetric", false),
            args("num_bits", 8, "group_size", 32, "symmetric", false),
            args("type", "float", "strategy", "channel"),
            NVFP4);
    try (Parity parity = new Parity(subject.open)) {
      for (QuantizationArgs args : formats) {
        for (DType roundTo : FLOATS) {
          for (int[] shape : new int[][] {{1, 1}, {7, 33}, {32, 7}, {33, 64}}) {
            for (Kind kind : Kind.values()) {
              gptqBlock(parity, shape[0], shape[1], kind, args, roundTo);
            }
          }
        }
        gptqBlock(parity, 128, 137, Kind.PLAIN, args, BF16);
      }
    }
  }

  private static void gptqBlock(
      Parity parity, int block, int channels, Kind kind, QuantizationArgs args, DType roundTo) {
    SplittableRandom random = new SplittableRandom(block);
    int groups = Math.ceilDiv(block, 32);
    int[] group = random.ints(block, 0, groups).toArray();
    Operand factor =
        floats(
            F32,
            block,
            block,
            i ->
                i / block > i % block
                    ? Double.NaN // nothing to read there
                    : i / block == i % block
                        ? random.nextDouble(0.5, 2)
                        : 0.1 * random.nextGaussian());
    Operand zeroPoint = zeroPoints(args, groups, channels);
    parity.exact(
        describe(args, kind, roundTo, block, channels),
        (d, t) -> d.gptqBlock(t[0], t[1], t[2], t[3], t[4], args, roundTo, t[5], t[6], t[7]),
        floats(F32, block, channels, kind, 1),
        factor,
        floats(F32, groups, channels, i -> random.nextDouble(0.01, 0.3)),
        floats(F32, groups, channels, i -> args.symmetric() ? 0 : zeroPoint.content()[i]),
        ints(group),
        output(codeDtype(args), block, channels),
        output(F32, block, channels),
        floats(F32, 1, channels, Kind.PLAIN, 3).inPlace());
  }

  // ---- model

  @ParameterizedTest
  @MethodSource("devices")
  void add(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : SHAPES) {
        for (Kind kind : Kind.values()) {
          parity.exact(
              "" + kind,
              (d, t) -> d.add(t[0], t[1]),
              floats(F32, shape[0], shape[1], kind, 1),
              floats(F32, shape[0], shape[1], kind, 2).inPlace());
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void round(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : SHAPES) {
        for (Kind kind : Kind.values()) {
          for (DType dtype : List.of(DType.BF16, DType.F16)) {
            parity.exact(
                kind + " to " + dtype,
                (d, t) -> d.round(t[0], dtype),
                floats(F32, shape[0], shape[1], kind, 1).inPlace());
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void scaleColumns(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : SHAPES) {
        for (Kind kind : Kind.values()) {
          parity.exact(
              "" + kind,
              (d, t) -> d.scaleColumns(t[0], t[1]),
              floats(F32, 1, shape[1], kind, 1),
              floats(F32, shape[0], shape[1], kind, 2).inPlace());
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void addRow(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : SHAPES) {
        for (Kind kind : Kind.values()) {
          parity.exact(
              "" + kind,
              (d, t) -> d.addRow(t[0], t[1]),
              floats(F32, 1, shape[1], kind, 1),
              floats(F32, shape[0], shape[1], kind, 2).inPlace());
        }
      }
    }
  }

  /**
   * The root halves the error of the mean of n squares; epsilon, root, quotient and two products.
   */
  @ParameterizedTest
  @MethodSource("devices")
  void rmsNorm(Subject subject) {
    List<int[]> shapes = new ArrayList<>(Arrays.asList(SHAPES));
    shapes.add(new int[] {2, 20011});
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : shapes) {
        for (Kind kind : List.of(Kind.PLAIN, Kind.TIES, Kind.ZEROS)) {
          Operand x = floats(F32, shape[0], shape[1], kind, 1);
          Operand weight = floats(F32, 1, shape[1], Kind.PLAIN, 2);
          Parity.Operation norm = (d, t) -> d.rmsNorm(t[0], t[1], 1e-5f, t[2]);
          Operand y = output(F32, shape[0], shape[1]);
          double[][] expected = parity.onReference(norm, x, weight, y).get(2).doubles();
          parity.within(
              "" + kind,
              2,
              (i, j) ->
                  gamma(shape[1] / 2 + 7) * Math.abs(expected[i][j])
                      + TINY * (2 + Math.abs(weight.get(0, j))),
              norm,
              x,
              weight,
              y);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void rope(Subject subject) {
    // Heads, their columns, the columns that turn.
    int[][] sizes = {{1, 2, 2}, {3, 14, 14}, {2, 64, 64}, {2, 66, 32}, {5, 128, 128}, {4, 37, 14}};
    try (Parity parity = new Parity(subject.open)) {
      for (int[] size : sizes) {
        for (int tokens : new int[] {1, 7, 137}) {
          int dim = size[1];
          int half = size[2] / 2;
          int[] positions = new SplittableRandom(4).ints(tokens, 0, 50).toArray();
          Operand x = floats(F32, tokens, size[0] * dim, Kind.PLAIN, 1).inPlace();
          Operand cos = floats(F32, 50, half, i -> Math.cos(i * 0.37));
          Operand sin = floats(F32, 50, half, i -> Math.sin(i * 0.37));
          parity.within(
              "rope " + Arrays.toString(size),
              0,
              (r, c) -> {
                int at = c % dim;
                if (at >= 2 * half) {
                  return 0; // stays
                }
                int other = at < half ? c + half : c - half;
                double byCos = Math.abs(x.get(r, c) * (double) cos.get(positions[r], at % half));
                double bySin =
                    Math.abs(x.get(r, other) * (double) sin.get(positions[r], at % half));
                return gamma(3) * (byCos + bySin) + 4 * TINY;
              },
              (d, t) -> d.rope(t[0], dim, t[1], t[2], t[3]),
              x,
              ints(positions),
              cos,
              sin);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void attention(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      attention(parity, new AttentionSpec(1, 1, 1, 1), 0, 1);
      attention(parity, new AttentionSpec(3, 1, 7, 0.4f), 0, 1, 1, 8, 45);
      attention(parity, new AttentionSpec(4, 2, 32, 0.177f), 0, 33, 65, 129, 194);
      attention(parity, new AttentionSpec(2, 2, 66, 0.125f), 0, 137, 265);
      // Heads as wide as models have them.
      attention(parity, new AttentionSpec(2, 1, 64, 0.125f), 0, 1, 3, 70, 135);
      attention(parity, new AttentionSpec(2, 1, 128, 0.088f), 0, 100, 165);
      attention(parity, new AttentionSpec(1, 1, 200, 0.07f), 0, 37);
      attention(parity, new AttentionSpec(2, 1, 256, 0.0625f), 0, 70);
      // Nearly uniform weights, so that scores hide no error of the products with v.
      attention(parity, new AttentionSpec(1, 1, 64, 1e-6f), 0, 1, 3, 6, 10, 25, 150);
      // Scores that leave nearly all weight to one key.
      attention(parity, new AttentionSpec(2, 1, 16, 8), 0, 31, 158);
      // Keys in more than one tile.
      attention(parity, new AttentionSpec(2, 1, 8, 0.35f), 0, 1103);
    }
  }

  private static void attention(Parity parity, AttentionSpec spec, long... starts) {
    int tokens = (int) starts[starts.length - 1];
    int width = spec.heads() * spec.headDim();
    int keyWidth = spec.keyHeads() * spec.headDim();
    Operand q = floats(F32, tokens, width, Kind.PLAIN, 1);
    Operand k = floats(F32, tokens, keyWidth, Kind.PLAIN, 2);
    Operand v = floats(F32, tokens, keyWidth, Kind.PLAIN, 3);
    double[][] bounds = attentionBounds(q.doubles(), k.doubles(), v.doubles(), spec, starts);
    parity.within(
        spec + " " + Arrays.toString(starts),
        3,
        (r, c) -> bounds[r][c],
        (d, t) -> d.attention(t[0], t[1], t[2], spec, starts, t[3]),
        q,
        k,
        v,
        output(F32, tokens, width));
  }

  /**
   * A score is off by E = γ(dim + 2)·scale·Σ|q||k|, its difference from the largest by u of itself,
   * so that a weight is off by the factor 1 ± ε, ε = E + u·(|difference| + 1) + 4u. Numerator and
   * denominator add γ(keys + 4) each in their sums over the keys and when they are rescaled: a
   * result is off by 2ε/(1 − 2ε) of the weighted mean of |v|. Which score was found to be the
   * largest doesn't matter: it cancels.
   */
  private static double[][] attentionBounds(
      double[][] q, double[][] k, double[][] v, AttentionSpec spec, long[] starts) {
    int dim = spec.headDim();
    double[][] bounds = new double[q.length][q[0].length];
    for (int s = 0; s + 1 < starts.length; s++) {
      for (int token = (int) starts[s]; token < starts[s + 1]; token++) {
        for (int head = 0; head < spec.heads(); head++) {
          int column = head * dim;
          int keyColumn = head / (spec.heads() / spec.keyHeads()) * dim;
          int keys = token - (int) starts[s] + 1;
          double[] scores = new double[keys];
          double[] magnitudes = new double[keys];
          double max = Double.NEGATIVE_INFINITY;
          for (int j = 0; j < keys; j++) {
            for (int d = 0; d < dim; d++) {
              double term =
                  spec.scale() * q[token][column + d] * k[(int) starts[s] + j][keyColumn + d];
              scores[j] += term;
              magnitudes[j] += Math.abs(term);
            }
            max = Math.max(max, scores[j]);
          }
          double epsilon = 0;
          double sum = 0;
          for (int j = 0; j < keys; j++) {
            epsilon =
                Math.max(epsilon, gamma(dim + 2) * magnitudes[j] + U * (max - scores[j] + 1 + EXP));
            sum += Math.exp(scores[j] - max);
          }
          epsilon += gamma(keys + 4);
          for (int d = 0; d < dim; d++) {
            double mean = 0;
            for (int j = 0; j < keys; j++) {
              mean +=
                  Math.exp(scores[j] - max) / sum * Math.abs(v[(int) starts[s] + j][keyColumn + d]);
            }
            bounds[token][column + d] = 2 * epsilon / (1 - 2 * epsilon) * mean + keys * TINY;
          }
        }
      }
    }
    return bounds;
  }

  /**
   * An exponential, a sum, a quotient and a product. Where e^−x overflows, from x = −88.8 on, the
   * result may be 0 instead of x·e^x, which is less than 89·2⁻¹²⁸ there.
   */
  @ParameterizedTest
  @MethodSource("devices")
  void gatedActivation(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      for (int[] shape : SHAPES) {
        SplittableRandom random = new SplittableRandom(1);
        Operand wide = floats(F32, shape[0], shape[1], i -> random.nextDouble(-120, 120));
        for (Operand gate :
            List.of(
                wide,
                floats(F32, shape[0], shape[1], Kind.PLAIN, 2),
                floats(F32, shape[0], shape[1], Kind.ZEROS, 2))) {
          Operand up = floats(F32, shape[0], shape[1], Kind.PLAIN, 3);
          Parity.Bound bound =
              (r, c) -> {
                double x = gate.get(r, c);
                double factor = Math.abs(up.get(r, c));
                double value = Math.abs(x / (1 + Math.exp(-x))) * factor;
                return gamma(EXP + 4) * value
                    + (x < -88 ? 89 * 0x1p-128 * factor : 0)
                    + TINY * (2 + factor);
              };
          Parity.Operation silu = (d, t) -> d.gatedActivation(Activation.SILU, t[0], t[1], t[2]);
          parity.within("silu", 2, bound, silu, gate, up, output(F32, shape[0], shape[1]));
          parity.within(
              "silu in place of gate",
              0,
              bound,
              (d, t) -> d.gatedActivation(Activation.SILU, t[0], t[1], t[0]),
              gate.inPlace(),
              up);
          parity.within(
              "silu in place of up",
              1,
              bound,
              (d, t) -> d.gatedActivation(Activation.SILU, t[0], t[1], t[1]),
              gate,
              up.inPlace());
        }
      }
    }
  }

  /**
   * A term e^d of the sum is off by the factor 1 ± ε, ε = u·|d| + 4u; the sum of n of them by γ(n)
   * more; the logarithm by that, absolutely, and by 4u of itself; then two sums.
   */
  @ParameterizedTest
  @MethodSource("devices")
  void logProbability(Subject subject) {
    try (Parity parity = new Parity(subject.open)) {
      int[][] shapes = {{1, 1}, {3, 7}, {5, 33}, {33, 137}, {7, 300}, {3, 5003}, {2, 20011}};
      for (int[] shape : shapes) {
        for (double spread : new double[] {1, 30}) {
          SplittableRandom random = new SplittableRandom(5);
          int last = shape[1] - 1;
          // Tokens that are masked: some, or all that come first; never the target.
          int prefix = spread == 1 ? 0 : shape[1] / 2;
          Operand logits =
              floats(
                  F32,
                  shape[0],
                  shape[1],
                  i -> {
                    int token = i % shape[1];
                    boolean masked = token < prefix || random.nextInt(50) == 0;
                    return masked && token < last
                        ? Double.NEGATIVE_INFINITY
                        : spread * random.nextGaussian();
                  });
          int[] targets = new int[shape[0]];
          for (int r = 0; r < targets.length; r++) {
            int candidate = random.nextInt(shape[1]);
            targets[r] = Float.isInfinite(logits.get(r, candidate)) ? last : candidate;
          }
          double[] bounds = logProbabilityBounds(logits.doubles(), targets);
          parity.within(
              "spread " + spread,
              2,
              (r, c) -> bounds[c],
              (d, t) -> d.logProbability(t[0], t[1], t[2]),
              logits,
              ints(targets),
              output(F32, 1, shape[0]));
        }
      }
    }
  }

  private static double[] logProbabilityBounds(double[][] logits, int[] targets) {
    double[] bounds = new double[logits.length];
    for (int r = 0; r < logits.length; r++) {
      double max = Arrays.stream(logits[r]).max().orElseThrow();
      double sum = 0;
      double distances = 0;
      for (double logit : logits[r]) {
        if (logit != Double.NEGATIVE_INFINITY) {
          sum += Math.exp(logit - max);
          distances += Math.exp(logit - max) * (max - logit);
        }
      }
      double epsilon = gamma(logits[r].length + EXP) + U * distances / sum;
      double normalizer = max + Math.log(sum);
      double result = logits[r][targets[r]] - normalizer;
      bounds[r] =
          epsilon / (1 - epsilon)
              + U * (4 * Math.log(sum) + Math.abs(normalizer) + 2 * Math.abs(result));
    }
    return bounds;
  }

  // ---- all

  /** What isn't exact must still not depend on how the work was shared out. */
  @Test
  void sameBytesWithAnyNumberOfThreads() {
    Operand x = floats(F32, 700, 413, Kind.PLAIN, 1);
    Operand row = floats(F32, 1, 413, Kind.PLAIN, 2);
    Operand square = floats(F32, 413, 413, Kind.PLAIN, 3).inPlace();
    Operand definite = positiveDefinite(413);
    Operand y = output(F32, 700, 413);
    long[] starts = {0, 300, 301, 700};
    AttentionSpec spec = new AttentionSpec(7, 7, 59, 0.13f);
    record Job(Parity.Operation operation, Operand... operands) {}
    List<Job> jobs =
        List.of(
            new Job((d, t) -> d.gemm(1, t[0], true, t[0], false, 1, t[1]), x, square),
            new Job((d, t) -> d.gemm(1, t[0], false, t[1], true, 0, t[2]), x, square, y),
            new Job((d, t) -> d.syrk(t[0], t[1]), x, square),
            new Job((d, t) -> d.syrk(t[0], t[1]), floats(BF16, 700, 413, Kind.PLAIN, 4), square),
            new Job((d, t) -> d.hadamard(t[0], 96), floats(F32, 700, 384, Kind.PLAIN, 5).inPlace()),
            new Job(
                (d, t) -> {
                  d.reverseCholesky(t[0]);
                  d.invertUpper(t[0]);
                },
                definite),
            new Job((d, t) -> d.rmsNorm(t[0], t[1], 1e-5f, t[2]), x, row, y),
            new Job((d, t) -> d.gatedActivation(Activation.SILU, t[0], t[0], t[1]), x, y),
            new Job((d, t) -> d.attention(t[0], t[0], t[0], spec, starts, t[1]), x, y));
    try (Parity one = new Parity(() -> new CpuDevice(1));
        Parity three = new Parity(() -> new CpuDevice(3))) {
      for (int i = 0; i < jobs.size(); i++) {
        Job job = jobs.get(i);
        List<List<Operand>> first = one.onTested(job.operation, job.operands);
        List<List<Operand>> second = three.onTested(job.operation, job.operands);
        for (int layout = 0; layout < first.size(); layout++) {
          for (int o = 0; o < job.operands.length; o++) {
            assertThat(
                    Arrays.equals(
                        first.get(layout).get(o).content(), second.get(layout).get(o).content()))
                .as("job %d, layout %d, operand %d", i, layout, o)
                .isTrue();
          }
        }
      }
    }
  }
}
