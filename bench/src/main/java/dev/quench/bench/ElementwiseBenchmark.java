package dev.quench.bench;

import dev.quench.device.Activation;
import dev.quench.device.CpuDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.Arrays;
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
 * How close do the operations between matrix products come to the memory's bandwidth? It is what
 * {@link MovingBenchmark#copy} reaches. {@link GemmBenchmark} says how to run it.
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsPrepend = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class ElementwiseBenchmark {
  private static final int TOKENS = 4096;
  private static final int HIDDEN = 576;
  private static final int MLP = 1536;
  private static final int HEAD = 64;
  private static final int VOCABULARY = 49152;

  /** Threads that compute, the caller's among them. */
  @Param({"1", "2"})
  public int threads;

  private CpuDevice device;
  private Scope scope;
  private Tensor hidden;
  private Tensor normed;
  private Tensor weight;
  private Tensor positions;
  private Tensor cos;
  private Tensor sin;
  private Tensor gate;
  private Tensor up;
  private Tensor mlp;
  private Tensor logits;
  private Tensor targets;
  private Tensor probabilities;

  /** Makes the operands. */
  @Setup
  public void open() {
    device = new CpuDevice(threads);
    scope = device.openScope();
    hidden = Operands.random(scope, TOKENS, HIDDEN);
    normed = scope.zeros(DType.F32, TOKENS, HIDDEN);
    weight = Operands.random(scope, 1, HIDDEN);
    positions = scope.ints(IntStream.range(0, TOKENS).map(i -> i % 512).toArray());
    float[] ones = new float[HEAD / 2];
    Arrays.fill(ones, 1);
    cos = scope.zeros(DType.F32, 512, HEAD / 2);
    sin = scope.zeros(DType.F32, 512, HEAD / 2);
    for (int i = 0; i < 512; i++) {
      // Angles of 0: however often it is turned, x stays of its size.
      device.convert(scope.floats(ones), cos.rows(i, 1));
    }
    gate = Operands.random(scope, TOKENS, MLP);
    up = Operands.random(scope, TOKENS, MLP);
    mlp = scope.zeros(DType.F32, TOKENS, MLP);
    logits = Operands.random(scope, 512, VOCABULARY);
    targets = scope.ints(IntStream.range(0, 512).toArray());
    probabilities = scope.zeros(DType.F32, 1, 512);
  }

  /** Frees them. */
  @TearDown
  public void close() {
    scope.close();
    device.close();
  }

  /** A residual. Its sums run away from 0, at no cost. */
  @Benchmark
  public void add(Traffic traffic) {
    device.add(hidden, normed);
    traffic.count(hidden, normed, normed);
  }

  /** A bias. */
  @Benchmark
  public void addRow(Traffic traffic) {
    device.addRow(weight, normed);
    traffic.count(normed, normed);
  }

  /** A norm. */
  @Benchmark
  public void rmsNorm(Traffic traffic) {
    device.rmsNorm(hidden, weight, 1e-5f, normed);
    traffic.count(hidden, normed);
  }

  /** Positions of the queries. */
  @Benchmark
  public void rope(Traffic traffic) {
    device.rope(hidden, HEAD, positions, cos, sin);
    traffic.count(hidden, hidden);
  }

  /** The middle of an MLP. */
  @Benchmark
  public void silu(Traffic traffic) {
    device.gatedActivation(Activation.SILU, gate, up, mlp);
    traffic.count(gate, up, mlp);
  }

  /** Perplexity of 512 tokens. */
  @Benchmark
  public void logProbability(Traffic traffic) {
    device.logProbability(logits, targets, probabilities);
    traffic.count(logits);
  }
}
