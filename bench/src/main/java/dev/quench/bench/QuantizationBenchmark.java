package dev.quench.bench;

import dev.quench.device.CpuDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.RangeSearch;
import dev.quench.quantization.ScaleFormat;
import dev.quench.tensor.DType;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * How many nanoseconds does an element of a bfloat16 weight take to be rounded to nearest (packed
 * where the scheme packs), and to be made a float again? {@link ColdQuantization} asks the same of
 * a fresh JVM.
 *
 * <pre>
 * ./mvnw -q package dependency:build-classpath -pl bench -am -DskipTests \
 *     -Dmdep.outputFile=target/classpath
 * java -cp bench/target/classes:$(cat bench/target/classpath) org.openjdk.jmh.Main QuantizationBenchmark
 * </pre>
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@OperationsPerInvocation(QuantizationBenchmark.ROWS * QuantizationBenchmark.COLUMNS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsPrepend = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class QuantizationBenchmark {
  static final int ROWS = 2048;
  static final int COLUMNS = 4096;

  /** Threads that compute, the caller's among them. */
  @Param({"1", "2"})
  public int threads;

  /** Preset. */
  @Param({
    "W4A16",
    "W4A16_ASYM",
    "W3A16",
    "W8A8",
    "FP8_DYNAMIC",
    "FP8_BLOCK",
    "NVFP4A16",
    "MXFP4",
    "MXFP8"
  })
  public String scheme;

  private static final RangeSearch SEARCH = new RangeSearch(20, 100, 1, 2.4, 5);

  private CpuDevice device;
  private Scope scope;
  private QuantizationArgs args;
  private Tensor x;
  private Tensor scale;
  private Tensor zeroPoint;
  private Tensor min;
  private Tensor max;
  private float globalScale;
  private Tensor codes;
  private Tensor unpacked;
  private Tensor restored;

  /** Makes the operands. */
  @Setup
  public void open() {
    device = new CpuDevice(threads);
    scope = device.openScope();
    args = PresetSchemes.find(scheme).orElseThrow().weights().orElseThrow();
    globalScale =
        args.scaleFormat() == ScaleFormat.E4M3 ? GlobalScale.of(1, DType.BF16) : GlobalScale.NONE;
    x = scope.allocate(DType.BF16, ROWS, COLUMNS);
    device.convert(Operands.random(scope, ROWS, COLUMNS), x);
    long gridRows = Math.ceilDiv(ROWS, args.blockRows(ROWS));
    long gridColumns = Math.ceilDiv(COLUMNS, args.blockColumns(COLUMNS));
    scale = scope.zeros(args.scaleFormat().dtype(DType.BF16), gridRows, gridColumns);
    min = scope.zeros(DType.BF16, gridRows, gridColumns);
    max = scope.zeros(DType.BF16, gridRows, gridColumns);
    zeroPoint = scope.zeros(DType.I8, gridRows, gridColumns);
    unpacked = scope.zeros(args.codeFormat().dtype(), ROWS, COLUMNS);
    codes =
        args.codeFormat()
            .packedDtype()
            .filter(packed -> args.numBits() < 8)
            .map(
                packed ->
                    scope.zeros(packed, ROWS, (long) COLUMNS * args.numBits() / packed.bits()))
            .orElse(unpacked);
    restored = scope.zeros(DType.BF16, ROWS, COLUMNS);
    device.quantizeToNearest(x, args, globalScale, scale, zeroPoint, codes);
    device.quantize(x, scale, zeroPoint, args, globalScale, unpacked);
  }

  /** Frees them. */
  @TearDown
  public void close() {
    scope.close();
    device.close();
  }

  /** Ranges, scales, codes, packing. */
  @Benchmark
  public void toNearest() {
    device.quantizeToNearest(x, args, globalScale, scale, zeroPoint, codes);
  }

  /** Codes to bfloat16. */
  @Benchmark
  public void dequantize() {
    device.dequantize(unpacked, scale, zeroPoint, args, globalScale, restored);
  }

  /** The ranges that the observer mse chooses, of 20 each. */
  @Benchmark
  public void search() {
    device.searchRange(x, args, SEARCH, min, max);
  }
}
