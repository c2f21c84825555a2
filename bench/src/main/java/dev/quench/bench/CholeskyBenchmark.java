package dev.quench.bench;

import dev.quench.device.CpuDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.OptionalLong;
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
 * What does it take to get the factor of the inverse Hessian that GPTQ needs, from the Hessian? The
 * factorization and the inversion take n³/3 operations each. Both leave the identity matrix as it
 * is, so that it can be used over and over; the time of either doesn't depend on the values.
 *
 * <pre>
 * ./mvnw -q package dependency:build-classpath -pl bench -am -DskipTests \
 *     -Dmdep.outputFile=target/classpath
 * java -cp bench/target/classes:$(cat bench/target/classpath) org.openjdk.jmh.Main CholeskyBenchmark
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
public class CholeskyBenchmark {
  /** Threads that compute, the caller's among them. */
  @Param({"1", "2"})
  public int threads;

  /** Rows and columns. */
  @Param({"576", "1536", "4096"})
  public long n;

  private CpuDevice device;
  private Scope scope;
  private Tensor matrix;

  /** Makes the operands. */
  @Setup
  public void open() {
    device = new CpuDevice(threads);
    scope = device.openScope();
    Tensor identity = Operands.identity(scope, n);
    matrix = scope.zeros(DType.F32, n, n);
    device.gemm(1, identity, false, identity, false, 0, matrix);
  }

  /** Frees them. */
  @TearDown
  public void close() {
    scope.close();
    device.close();
  }

  /** H = R · Rᵀ. */
  @Benchmark
  public OptionalLong factor(Flops flops) {
    flops.gigaflop += 1e-9 * n * n * n / 3;
    return device.reverseCholesky(matrix);
  }

  /** R⁻¹. */
  @Benchmark
  public void invert(Flops flops) {
    device.invertUpper(matrix);
    flops.gigaflop += 1e-9 * n * n * n / 3;
  }
}
