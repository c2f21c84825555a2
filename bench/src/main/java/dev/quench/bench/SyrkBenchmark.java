package dev.quench.bench;

import dev.quench.device.CpuDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
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
 * How close does the accumulation of Hessians come to the rate of {@link GemmBenchmark}? Only the
 * triangle is counted: n² · tokens operations.
 *
 * <pre>
 * ./mvnw -q package dependency:build-classpath -pl bench -am -DskipTests \
 *     -Dmdep.outputFile=target/classpath
 * java -cp bench/target/classes:$(cat bench/target/classpath) org.openjdk.jmh.Main SyrkBenchmark
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
public class SyrkBenchmark {
  /** Threads that compute, the caller's among them. */
  @Param({"1", "2"})
  public int threads;

  /** Columns of x. */
  @Param({"576", "1536", "4096"})
  public long n;

  /** Rows of x. */
  @Param("4096")
  public long tokens;

  private CpuDevice device;
  private Scope scope;
  private Tensor x;
  private Tensor hessian;

  /** Makes the operands. */
  @Setup
  public void open() {
    device = new CpuDevice(threads);
    scope = device.openScope();
    x = Operands.random(scope, tokens, n);
    hessian = scope.zeros(DType.F32, n, n);
  }

  /** Frees them. */
  @TearDown
  public void close() {
    scope.close();
    device.close();
  }

  /** h += xᵀ · x. */
  @Benchmark
  public void hessian(Flops flops) {
    device.syrk(x, hessian);
    flops.gigaflop += 1e-9 * n * n * tokens;
  }
}
