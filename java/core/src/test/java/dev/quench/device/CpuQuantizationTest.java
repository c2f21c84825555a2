package dev.quench.device;

import static dev.quench.device.Operand.floats;
import static dev.quench.device.Operand.output;
import static dev.quench.tensor.DType.BF16;
import static dev.quench.tensor.DType.F16;
import static dev.quench.tensor.DType.F32;
import static dev.quench.tensor.DType.F8_E4M3;
import static dev.quench.tensor.DType.I32;
import static dev.quench.tensor.DType.I8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.quench.device.Operand.Kind;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.quantization.QuantizationArgsReader;
import dev.quench.quantization.RangeSearch;
import dev.quench.tensor.DType;
import java.lang.management.ManagementFactory;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What {@link DeviceParityTest} doesn't reach: rows of several pieces, blocks of several tasks, all
 * quotients of bfloat16, and that no memory is allocated in proportion to the elements.
 */
final class CpuQuantizationTest {

  private static QuantizationArgs args(Object... fields) {
    Map<String, Object> map = new HashMap<>();
    for (int i = 0; i < fields.length; i += 2) {
      map.put((String) fields[i], fields[i + 1]);
    }
    return QuantizationArgsReader.read(new HashMap<>(map), "test");
  }

  private static final List<QuantizationArgs> FORMATS =
      List.of(
          args("num_bits", 4, "group_size", 128),
          args("num_bits", 3, "symmetric", false, "group_size", 7),
          args("num_bits", 8, "strategy", "channel"),
          args("num_bits", 8, "strategy", "tensor"),
          args("num_bits", 5, "symmetric", false, "block_structure", List.of(70, 1111)),
          args("type", "float", "strategy", "channel"),
          args("type", "float", "block_structure", List.of(64, 128)),
          args("type", "float", "num_bits", 4, "group_size", 32, "scale_dtype", "uint8"));

  private static int rows(QuantizationArgs args, int rows) {
    return Math.toIntExact(Math.ceilDiv(rows, args.blockRows(rows)));
  }

  private static int columns(QuantizationArgs args, int columns) {
    return Math.toIntExact(Math.ceilDiv(columns, args.blockColumns(columns)));
  }

  private static Operand codes(QuantizationArgs args, int rows, int columns) {
    Optional<DType> packed = args.codeFormat().packedDtype().filter(dtype -> args.numBits() < 8);
    return packed
        .map(dtype -> output(dtype, rows, Math.ceilDiv(columns * args.numBits(), dtype.bits())))
        .orElseGet(() -> output(args.codeFormat().dtype(), rows, columns));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void rowsOfSeveralPiecesAndBlocksOfSeveralTasks(int threads) {
    int rows = 150;
    int columns = 2 * RowWords.ELEMENTS + 131;
    try (Parity parity = new Parity(() -> new CpuDevice(threads))) {
      for (QuantizationArgs args : FORMATS) {
        for (DType dtype : List.of(BF16, F32, F16)) {
          Operand x = floats(dtype, rows, columns, Kind.PLAIN, 1);
          Operand grid =
              output(args.scaleFormat().dtype(dtype), rows(args, rows), columns(args, columns));
          Operand zeroPoint = output(I8, grid.rows(), grid.columns());
          parity.exact(
              dtype + " " + args,
              (d, t) -> d.quantizeToNearest(t[0], args, t[1], t[2], t[3]),
              x,
              grid,
              zeroPoint,
              codes(args, rows, columns));
        }
      }
    }
  }

  /** Also groups that pieces cut, and rows that belong to several tasks. */
  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void searchesOfSeveralPiecesAndTasks(int threads) {
    int rows = 40;
    int columns = RowWords.ELEMENTS + 131;
    RangeSearch search = new RangeSearch(6, 20, 1, 2.4, 2);
    try (Parity parity = new Parity(() -> new CpuDevice(threads))) {
      for (QuantizationArgs args : FORMATS) {
        for (DType dtype : List.of(BF16, F32, F16)) {
          Operand grid = output(dtype, rows(args, rows), columns(args, columns));
          parity.exact(
              dtype + " " + args,
              (d, t) -> d.searchRange(t[0], args, search, t[1], t[2]),
              floats(dtype, rows, columns, Kind.PLAIN, 1),
              grid,
              grid);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void weighedSearches(int threads) {
    List<RangeSearch> searches =
        List.of(
            new RangeSearch(20, 20, 1, 3, 5),
            new RangeSearch(9, 20, 1.8f, 2.4, Integer.MAX_VALUE),
            new RangeSearch(6, 20, 1, 2, 2));
    try (Parity parity = new Parity(() -> new CpuDevice(threads))) {
      for (QuantizationArgs args : FORMATS) {
        if (args.blockRows(2) != 1) {
          continue;
        }
        for (int columns : new int[] {7, 96, RowWords.ELEMENTS + 131}) {
          int rows = columns > 100 ? 9 : 5;
          SplittableRandom random = new SplittableRandom(3);
          Operand importance =
              floats(F32, 1, columns, i -> random.nextInt(5) == 0 ? 0 : random.nextExponential());
          for (DType dtype : List.of(BF16, F32, F16)) {
            for (Kind kind : List.of(Kind.PLAIN, Kind.TIES, Kind.ZEROS, Kind.MIXED)) {
              RangeSearch search = searches.get((args.numBits() + columns) % searches.size());
              Operand grid = output(dtype, rows, columns(args, columns));
              parity.exact(
                  dtype + " " + kind + " " + args + " " + search,
                  (d, t) -> d.searchWeighedRange(t[0], t[1], args, search, t[2], t[3]),
                  floats(dtype, rows, columns, kind, 1),
                  importance,
                  grid,
                  grid);
            }
          }
        }
      }
    }
  }

  @Test
  void valuesOfRowsOfSeveralPieces() {
    int rows = 3;
    int columns = 2 * RowWords.ELEMENTS + 131;
    try (Parity parity = new Parity(() -> new CpuDevice(1))) {
      for (QuantizationArgs args : FORMATS) {
        DType codeDtype = args.codeFormat().dtype();
        DType scaleDtype = args.scaleFormat().dtype(BF16);
        Operand scale =
            scaleDtype == BF16
                ? floats(BF16, rows(args, rows), columns(args, columns), Kind.PLAIN, 2)
                : Operand.bytes(scaleDtype, rows(args, rows), columns(args, columns), 2);
        parity.exact(
            "" + args,
            (d, t) -> d.dequantize(t[0], t[1], t[2], args, t[3]),
            Operand.bytes(codeDtype, rows, columns, 1),
            scale,
            Operand.bytes(I8, scale.rows(), scale.columns(), 3),
            output(BF16, rows, columns));
      }
    }
  }

  /**
   * Each row has another scale, of all 128 significands. Columns have all significands in the
   * binades that give codes, and here and there what vanishes when it is divided. Nothing is
   * infinite, NaN or huge, for which there is another path.
   */
  @ParameterizedTest
  @ValueSource(ints = {-133, -41, -40, -6, 0, 1, 2, 40})
  void allQuotientsOfBfloat16(int exponent) {
    Operand scale = floats(BF16, 128, 1, i -> Math.scalb(1 + i / 128.0, exponent));
    Operand x =
        floats(
            BF16,
            128,
            512,
            i -> {
              int row = i / 512;
              int column = i % 512;
              int sign = i % 3 == 0 ? -1 : 1;
              if (column % 64 == 0) {
                return Math.scalb(sign * 1.0, -133 + row % 48);
              }
              int binade = exponent - 10 + 6 * (column / 128) + row % 6;
              return Math.scalb(sign * (1 + column % 128 / 128.0), binade);
            });
    try (Parity parity = new Parity(() -> new CpuDevice(1))) {
      for (QuantizationArgs args :
          List.of(
              args("num_bits", 8, "strategy", "channel"),
              args("num_bits", 4, "strategy", "channel"),
              args("type", "float", "strategy", "channel"))) {
        parity.exact(
            args + ", scales from 2^" + exponent,
            (d, t) -> d.quantize(t[0], t[1], t[2], args, t[3]),
            x,
            scale,
            zeros(I8, 128, 1),
            output(args.type() == Type.INT ? I8 : F8_E4M3, 128, 512));
      }
    }
  }

  /** Zero points of 0. */
  private static Operand zeros(DType dtype, int rows, int columns) {
    return new Operand(dtype, rows, columns, new byte[rows * columns], false);
  }

  /** A task may make a few objects and a block two; nothing else, compiled or not. */
  @Test
  void elementsAllocateNothing() {
    long rows = 1024;
    long columns = 576;
    QuantizationArgs args = args("num_bits", 4, "group_size", 128);
    ThreadMXBean thread = ManagementFactory.getPlatformMXBean(ThreadMXBean.class);
    try (CpuDevice device = new CpuDevice(1);
        Scope scope = device.openScope()) {
      Tensor x = scope.zeros(BF16, rows, columns);
      Tensor scale = scope.zeros(BF16, rows, 5);
      Tensor zeroPoint = scope.zeros(I8, rows, 5);
      Tensor packed = scope.zeros(I32, rows, 72);
      Tensor codes = scope.zeros(I8, rows, columns);
      Runnable all =
          () -> {
            device.quantizeToNearest(x, args, scale, zeroPoint, packed);
            device.quantize(x, scale, zeroPoint, args, codes);
            device.dequantize(codes, scale, zeroPoint, args, x);
          };
      all.run();
      long before = thread.getCurrentThreadAllocatedBytes();
      all.run();
      long allocated = thread.getCurrentThreadAllocatedBytes() - before;
      long tasks = 3 * Math.ceilDiv(rows * columns, 1 << 17) + 3;
      long blocks = rows * 5;
      assertThat(allocated).isLessThan(tasks * 1024 + blocks * 64);
    }
  }

  @Test
  void solverAllocatesNothingPerElement() {
    long block = 128;
    long channels = 2048;
    QuantizationArgs args = args("num_bits", 4, "group_size", 128);
    ThreadMXBean thread = ManagementFactory.getPlatformMXBean(ThreadMXBean.class);
    try (CpuDevice device = new CpuDevice(1);
        Scope scope = device.openScope()) {
      Tensor w = scope.zeros(F32, block, channels);
      Tensor u = scope.zeros(F32, block, block);
      Tensor parameters = scope.zeros(F32, 1, channels);
      Tensor group = scope.zeros(I32, 1, block);
      Tensor codes = scope.zeros(I8, block, channels);
      Tensor error = scope.zeros(F32, block, channels);
      Tensor loss = scope.zeros(F32, 1, channels);
      Runnable solve =
          () ->
              device.gptqBlock(w, u, parameters, parameters, group, args, BF16, codes, error, loss);
      solve.run();
      long before = thread.getCurrentThreadAllocatedBytes();
      solve.run();
      assertThat(thread.getCurrentThreadAllocatedBytes() - before).isLessThan(16 * 1024);
    }
  }

  /** More channels than a task, and blocks that pairs of rows don't fill. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void solverOfSeveralTasks(int threads) {
    int channels = GptqChannels.CHANNELS * 2 + 37;
    try (Parity parity = new Parity(() -> new CpuDevice(threads))) {
      for (int block : new int[] {1, 2, 7, 12, 33}) {
        for (QuantizationArgs args : List.of(FORMATS.getFirst(), FORMATS.get(5))) {
          for (DType roundTo : List.of(BF16, F16, F32)) {
            parity.exact(
                block + " " + args.type() + " " + roundTo,
                (d, t) ->
                    d.gptqBlock(t[0], t[1], t[2], t[3], t[4], args, roundTo, t[5], t[6], t[7]),
                floats(F32, block, channels, Kind.PLAIN, 1),
                floats(F32, block, block, Kind.PLAIN, 2),
                Operand.floats(F32, 2, channels, i -> 0.01 * (1 + i % 17)),
                Operand.floats(F32, 2, channels, i -> i % 5 - 2),
                Operand.ints(IntStream.range(0, block).map(i -> i / 5 % 2).toArray()),
                output(args.type() == Type.INT ? I8 : F8_E4M3, block, channels),
                output(F32, block, channels),
                floats(F32, 1, channels, Kind.PLAIN, 3).inPlace());
          }
        }
      }
    }
  }
}
