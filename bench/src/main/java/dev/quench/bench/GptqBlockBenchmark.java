package dev.quench.bench;

import dev.quench.device.CpuDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * How close does GPTQ's inner loop come to the rate of {@link GemmBenchmark}? Only the propagation
 * of errors is counted, block · (block − 1) · channels operations; the rounding comes on top.
 *
 * <pre>
 * ./mvnw -q package dependency:build-classpath -pl bench -am -DskipTests \
 *     -Dmdep.outputFile=target/classpath
 * java -cp bench/target/classes:$(cat bench/target/classpath) org.openjdk.jmh.Main GptqBlockBenchmark
 * </pre>
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsPrepend = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class GptqBlockBenchmark {
  private static final long BLOCK = 128;

  /** Threads that compute, the caller's among them. */
  @Param({"1", "2"})
  public int threads;

  /** Preset. */
  @Param({"W4A16", "FP8_DYNAMIC"})
  public String scheme;

  /** Output channels. */
  @Param({"576", "4096"})
  public long channels;

  private CpuDevice device;
  private Scope scope;
  private QuantizationArgs args;
  private Tensor w;
  private Tensor u;
  private Tensor scale;
  private Tensor zeroPoint;
  private Tensor group;
  private Tensor codes;
  private Tensor error;
  private Tensor loss;

  /** Makes the operands: errors propagate, but stay small. */
  @Setup
  public void open() {
    device = new CpuDevice(threads);
    scope = device.openScope();
    args = PresetSchemes.find(scheme).orElseThrow().weights().orElseThrow();
    boolean integers = args.type() == QuantizationArgs.Type.INT;
    w = Operands.random(scope, BLOCK, channels);
    u = Operands.random(scope, BLOCK, BLOCK);
    device.setDiagonal(constant(1, BLOCK, 8), u);
    scale = constant(1, channels, integers ? 0.125f : 1 / 448f);
    zeroPoint = constant(1, channels, 0);
    group = scope.zeros(DType.I32, 1, BLOCK);
    codes = scope.zeros(integers ? DType.I8 : DType.F8_E4M3, BLOCK, channels);
    error = scope.zeros(DType.F32, BLOCK, channels);
    loss = scope.zeros(DType.F32, 1, channels);
  }

  private Tensor constant(long rows, long columns, float value) {
    MemorySegment memory = Arena.ofAuto().allocate(DType.F32.bytes(rows * columns), 64);
    for (long i = 0; i < rows * columns; i++) {
      memory.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
    }
    return scope.upload(new HostTensor(DType.F32, Shape.of(rows, columns), memory));
  }

  /** Frees them. */
  @TearDown
  public void close() {
    scope.close();
    device.close();
  }

  /** One block of columns. */
  @Benchmark
  public void solve(Flops flops) {
    device.gptqBlock(w, u, scale, zeroPoint, group, args, DType.BF16, codes, error, loss);
    flops.gigaflop += 1e-9 * BLOCK * (BLOCK - 1) * channels;
  }
}
