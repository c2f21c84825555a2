package dev.quench.bench;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.profile.InternalProfiler;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.ScalarResult;

/**
 * Adds to JMH's results what the device's clock says of {@link CudaKernelBenchmark}: time, bytes
 * and operations per second, and how much of that time the roofline explains.
 */
public final class CudaProfiler implements InternalProfiler {
  /** What was measured in this iteration; JMH makes profilers and benchmarks in one process. */
  private static final class Iteration {
    private double seconds;
    private long operations;
  }

  private static final Iteration CURRENT = new Iteration();
  private static List<KernelWork> work = List.of();
  private static List<GpuPeaks> peaks = List.of();

  /** What an operation has to do, and the device if its peaks are known. */
  static synchronized void start(List<KernelWork> ofOperation, List<GpuPeaks> ofDevice) {
    work = ofOperation;
    peaks = ofDevice;
  }

  static synchronized void add(long operations, double seconds) {
    CURRENT.operations += operations;
    CURRENT.seconds += seconds;
  }

  @Override
  public String getDescription() {
    return "CUDA events, and the roofline beside them";
  }

  @Override
  public void beforeIteration(BenchmarkParams benchmark, IterationParams iteration) {
    synchronized (CudaProfiler.class) {
      CURRENT.operations = 0;
      CURRENT.seconds = 0;
    }
  }

  @Override
  public Collection<? extends Result<?>> afterIteration(
      BenchmarkParams benchmark, IterationParams iteration, IterationResult result) {
    synchronized (CudaProfiler.class) {
      return results(CURRENT.seconds / CURRENT.operations);
    }
  }

  private static List<Result<?>> results(double seconds) {
    double bytes = work.stream().mapToDouble(KernelWork::bytes).sum();
    double flops = work.stream().mapToDouble(KernelWork::flops).sum();
    List<Result<?>> results = new ArrayList<>();
    results.add(scalar("device", 1e6 * seconds, "us/op"));
    results.add(scalar("traffic", 1e-9 * bytes / seconds, "GB/s"));
    results.add(scalar("arithmetic", 1e-12 * flops / seconds, "TFLOP/s"));
    for (GpuPeaks gpu : peaks) {
      double least = work.stream().mapToDouble(kernel -> kernel.seconds(gpu)).sum();
      results.add(scalar("roofline", 1e6 * least, "us/op"));
      results.add(scalar("reached", 100 * least / seconds, "%"));
    }
    return results;
  }

  private static Result<?> scalar(String name, double value, String unit) {
    return new ScalarResult(name, value, unit, AggregationPolicy.AVG);
  }
}
