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
 * How fast are matrix products of the shapes that compressing a model consists of? Compare {@code
 * -jvmArgsAppend -Dquench.gemm=vector}; vary {@code -p shape=m,k,n} (x [m, k] · wᵀ, w [n, k]) and
 * {@code -p threads=}.
 *
 * <pre>
 * ./mvnw -q package dependency:build-classpath -pl bench -am -DskipTests \
 *     -Dmdep.outputFile=target/classpath
 * java -cp bench/target/classes:$(cat bench/target/classpath) org.openjdk.jmh.Main GemmBenchmark
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
public class GemmBenchmark {
  /** Threads that compute, the caller's among them. */
  @Param({"1", "2"})
  public int threads;

  /** Tokens, input and output channels. */
  @Param({"2048,576,192", "2048,576,576", "2048,576,1536", "2048,1536,576", "512,576,49152"})
  public String shape;

  private CpuDevice device;
  private Scope scope;
  private Tensor x;
  private Tensor weight;
  private Tensor y;

  /** Makes the operands. */
  @Setup
  public void open() {
    device = new CpuDevice(threads);
    scope = device.openScope();
    String[] sizes = shape.split(",", -1);
    long tokens = Long.parseLong(sizes[0]);
    long inputs = Long.parseLong(sizes[1]);
    long outputs = Long.parseLong(sizes[2]);
    x = Operands.random(scope, tokens, inputs);
    weight = Operands.random(scope, outputs, inputs);
    y = scope.zeros(DType.F32, tokens, outputs);
  }

  /** Frees them. */
  @TearDown
  public void close() {
    scope.close();
    device.close();
  }

  /** A linear layer: y = x · wᵀ. */
  @Benchmark
  public void linear(Flops flops) {
    device.gemm(1, x, false, weight, true, 0, y);
    flops.gigaflop += 2e-9 * x.rows() * x.columns() * weight.rows();
  }
}
