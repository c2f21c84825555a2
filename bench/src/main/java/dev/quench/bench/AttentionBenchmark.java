package dev.quench.bench;

import dev.quench.device.AttentionSpec;
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
 * How close does attention come to the rate of matrix products, of which it counts only those that
 * causality needs? Compare {@link GemmBenchmark}, which says how to run it.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsPrepend = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class AttentionBenchmark {
  /** Threads that compute, the caller's among them. */
  @Param({"1", "2"})
  public int threads;

  /** Sequences, tokens in each, heads, key heads, columns of a head. */
  @Param({"8,512,9,3,64", "2,2048,9,3,64", "1,4096,32,8,128", "64,64,9,3,64"})
  public String shape;

  private CpuDevice device;
  private Scope scope;
  private AttentionSpec spec;
  private long[] starts;
  private Tensor q;
  private Tensor k;
  private Tensor v;
  private Tensor y;
  private double gigaflop;

  /** Makes the operands. */
  @Setup
  public void open() {
    device = new CpuDevice(threads);
    scope = device.openScope();
    String[] sizes = shape.split(",", -1);
    int sequences = Integer.parseInt(sizes[0]);
    long length = Long.parseLong(sizes[1]);
    int dim = Integer.parseInt(sizes[4]);
    spec =
        new AttentionSpec(
            Integer.parseInt(sizes[2]),
            Integer.parseInt(sizes[3]),
            dim,
            (float) (1 / Math.sqrt(dim)));
    starts = new long[sequences + 1];
    for (int i = 0; i <= sequences; i++) {
      starts[i] = i * length;
    }
    long tokens = sequences * length;
    q = Operands.random(scope, tokens, (long) spec.heads() * dim);
    k = Operands.random(scope, tokens, (long) spec.keyHeads() * dim);
    v = Operands.random(scope, tokens, (long) spec.keyHeads() * dim);
    y = scope.zeros(DType.F32, tokens, q.columns());
    double scores = 0.5 * length * (length + 1) * sequences * spec.heads();
    gigaflop = 1e-9 * 2 * 2 * dim * scores;
  }

  /** Frees them. */
  @TearDown
  public void close() {
    scope.close();
    device.close();
  }

  /** All heads of a batch of sequences. */
  @Benchmark
  public void attention(Flops flops) {
    device.attention(q, k, v, spec, starts, y);
    flops.gigaflop += gigaflop;
  }
}
