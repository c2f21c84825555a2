package dev.quench.bench;

import dev.quench.cuda.CudaDevice;
import dev.quench.cuda.CudaProbe;
import dev.quench.cuda.CudaProperties;
import dev.quench.device.Scope;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
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
 * How close does each CUDA kernel come to its roofline? Beside JMH's own time of a batch of
 * launches stand the device's time of an operation, GB/s and TFLOP/s, and the share of that time
 * that the device needs at least for these bytes and operations ({@link CudaProfiler}).
 *
 * <pre>
 * ./mvnw -q package dependency:build-classpath -pl bench -am -DskipTests \
 *     -Dmdep.outputFile=target/classpath
 * java -cp bench/target/classes:$(cat bench/target/classpath) dev.quench.bench.CudaKernelBenchmark
 * java … dev.quench.bench.CudaKernelBenchmark -p workload=SYRK_WIDE,RMS_NORM
 * </pre>
 */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 3, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Fork(
    value = 1,
    jvmArgsPrepend = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class CudaKernelBenchmark {
  /** How long a batch takes at least, so that its start and end don't count. */
  private static final double BATCH_SECONDS = 0.02;

  private static final long MAX_BATCH = 4096;

  /** Which kernels, and on what. */
  @Param public CudaWorkload workload = CudaWorkload.ADD;

  private Bench bench = new Closed();

  /** What there is between {@link #open} and {@link #close}. */
  private sealed interface Bench {}

  private record Closed() implements Bench {}

  private record Open(
      CudaDevice device, Scope scope, CudaStopwatch stopwatch, Runnable operation, long batch)
      implements Bench {}

  /** Runs JMH with {@link CudaProfiler} and this class alone. */
  public static void main(String[] arguments) throws IOException {
    Stream<String> own =
        Stream.of(CudaKernelBenchmark.class.getName(), "-prof", CudaProfiler.class.getName());
    org.openjdk.jmh.Main.main(Stream.concat(own, Stream.of(arguments)).toArray(String[]::new));
  }

  /**
   * Opens the device and makes the operands.
   *
   * @throws IllegalStateException if there is no GPU, or if it doesn't have these kernels
   */
  @Setup
  public void open() {
    CudaProperties properties = requireGpu();
    CudaOperation operation = workload.operation();
    CudaDevice device = CudaDevice.open(Long.MAX_VALUE);
    Scope scope = device.openScope();
    CudaStopwatch stopwatch = new CudaStopwatch(device);
    Runnable run = operation.prepare(device, scope, CudaSizes.BENCHMARK);
    run.run();
    double once = stopwatch.seconds(run);
    long batch = (long) Math.clamp(Math.ceil(BATCH_SECONDS / once), 1, MAX_BATCH);
    bench = new Open(device, scope, stopwatch, run, batch);
    CudaProfiler.start(
        operation.work(CudaSizes.BENCHMARK), GpuPeaks.of(properties.name()).stream().toList());
  }

  private CudaProperties requireGpu() {
    return switch (CudaProbe.first()) {
      case CudaProbe.Unusable(String reason) ->
          throw new IllegalStateException("nothing to measure: " + reason);
      case CudaProbe.Usable(CudaProperties device, _) when device.isStandIn() ->
          throw new IllegalStateException(
              "nothing to measure: " + device.name() + " says nothing about a GPU's time");
      case CudaProbe.Usable(CudaProperties device, _) when !workload.runsOn(device.capability()) ->
          throw new IllegalStateException(
              "nothing to measure: " + workload + " isn't for " + device);
      case CudaProbe.Usable(CudaProperties device, _) -> device;
    };
  }

  /** Gives the device back. */
  @TearDown
  public void close() {
    if (bench instanceof Open open) {
      open.stopwatch.close();
      open.scope.close();
      open.device.close();
    }
    bench = new Closed();
  }

  /** A batch of operations, one after the other, and the wait for the last. */
  @Benchmark
  public void batch() {
    if (!(bench instanceof Open open)) {
      throw new IllegalStateException("not open");
    }
    double seconds =
        open.stopwatch.seconds(
            () -> {
              for (long i = 0; i < open.batch; i++) {
                open.operation.run();
              }
            });
    CudaProfiler.add(open.batch, seconds);
  }
}
