package dev.quench.bench;

import dev.quench.device.CpuDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
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
 * How close do casts, transpositions and gathers come to a plain copy? {@link GemmBenchmark} says
 * how to run it.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsPrepend = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class MovingBenchmark {
  private static final int N = 3072;

  /** Threads that move, the caller's among them. */
  @Param({"1", "2"})
  public int threads;

  private CpuDevice device;
  private Scope scope;
  private Tensor f32;
  private Tensor f32Too;
  private Tensor bf16;
  private Tensor bf16Too;
  private Tensor f16;
  private Tensor i8;
  private Tensor i8Too;
  private Tensor order;

  /** Makes the operands. */
  @Setup
  public void open() {
    device = new CpuDevice(threads);
    scope = device.openScope();
    f32 = Operands.random(scope, N, N);
    f32Too = scope.zeros(DType.F32, N, N);
    bf16 = scope.zeros(DType.BF16, N, N);
    bf16Too = scope.zeros(DType.BF16, N, N);
    f16 = scope.zeros(DType.F16, N, N);
    i8 = scope.zeros(DType.I8, N, N);
    i8Too = scope.zeros(DType.I8, N, N);
    device.convert(f32, bf16);
    device.convert(f32, f16);
    int[] shuffled = IntStream.range(0, N).toArray();
    SplittableRandom random = new SplittableRandom(1);
    for (int i = N - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int swapped = shuffled[i];
      shuffled[i] = shuffled[j];
      shuffled[j] = swapped;
    }
    order = scope.ints(shuffled);
  }

  /** Frees them. */
  @TearDown
  public void close() {
    scope.close();
    device.close();
  }

  /** The bandwidth. */
  @Benchmark
  public void copy(Traffic traffic) {
    convert(f32, f32Too, traffic);
  }

  /** A weight is loaded. */
  @Benchmark
  public void bf16ToF32(Traffic traffic) {
    convert(bf16, f32Too, traffic);
  }

  /** A weight is stored. */
  @Benchmark
  public void f32ToBf16(Traffic traffic) {
    convert(f32, bf16Too, traffic);
  }

  /** A weight is loaded. */
  @Benchmark
  public void f16ToF32(Traffic traffic) {
    convert(f16, f32Too, traffic);
  }

  /** A weight is stored. */
  @Benchmark
  public void f32ToF16(Traffic traffic) {
    convert(f32, f16, traffic);
  }

  /** Codes become numbers. */
  @Benchmark
  public void i8ToF32(Traffic traffic) {
    convert(i8, f32Too, traffic);
  }

  /** A weight goes to and from a solver. */
  @Benchmark
  public void transposeF32(Traffic traffic) {
    transpose(f32, f32Too, traffic);
  }

  /** A weight goes to a solver. */
  @Benchmark
  public void transposeBf16ToF32(Traffic traffic) {
    transpose(bf16, f32Too, traffic);
  }

  /** A weight comes back. */
  @Benchmark
  public void transposeF32ToBf16(Traffic traffic) {
    transpose(f32, bf16Too, traffic);
  }

  /** Codes come back. */
  @Benchmark
  public void transposeI8(Traffic traffic) {
    transpose(i8, i8Too, traffic);
  }

  /** Rows of a transposed weight are put in order of activations. */
  @Benchmark
  public void gatherRows(Traffic traffic) {
    device.gatherRows(f32, order, f32Too);
    traffic.count(f32, f32Too);
  }

  /** A Hessian is put in order of activations; half of both is touched. */
  @Benchmark
  public void gatherSymmetric(Traffic traffic) {
    device.gatherSymmetric(f32, order, f32Too);
    traffic.count(f32);
  }

  private void convert(Tensor from, Tensor to, Traffic traffic) {
    device.convert(from, to);
    traffic.count(from, to);
  }

  private void transpose(Tensor from, Tensor to, Traffic traffic) {
    device.transpose(from, to);
    traffic.count(from, to);
  }
}
