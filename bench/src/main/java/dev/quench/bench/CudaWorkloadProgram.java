package dev.quench.bench;

import dev.quench.cuda.CudaDevice;
import dev.quench.cuda.CudaProbe;
import dev.quench.device.Scope;
import java.util.Arrays;
import java.util.List;

/**
 * Runs {@link CudaWorkload}s once, small, on the CUDA device that there is, and says on stderr when
 * each begins and ends: what the driver says of launches stands between. For tests, and for what
 * {@code bench/scripts/kernel_table.py} counts on the stand-in.
 */
final class CudaWorkloadProgram {
  /** What stands before the name of a workload whose launches follow. */
  static final String BEGIN = "begin ";

  static final String END = "end ";

  private CudaWorkloadProgram() {}

  /** Instead of names: what the workloads have to do. */
  private static final String LIST = "--list";

  /** The workloads of those names; without names all that the device has kernels for. */
  public static void main(String[] names) {
    if (List.of(names).equals(List.of(LIST))) {
      list("small", CudaSizes.SMALL);
      list("calibration", CudaSizes.CALIBRATION);
      return;
    }
    if (!(CudaProbe.first() instanceof CudaProbe.Usable(var properties, _))) {
      throw new IllegalStateException("no CUDA device: " + CudaProbe.first());
    }
    List<CudaWorkload> workloads =
        names.length == 0
            ? List.of(CudaWorkload.values())
            : Arrays.stream(names).map(CudaWorkload::valueOf).toList();
    try (CudaDevice device = CudaDevice.open(Long.MAX_VALUE)) {
      for (CudaWorkload workload : workloads) {
        if (workload.runsOn(properties.capability())) {
          run(device, workload);
        }
      }
    }
  }

  /** A line a kernel, with tabs. */
  private static void list(String name, CudaSizes sizes) {
    for (CudaWorkload workload : CudaWorkload.values()) {
      for (KernelWork work : workload.operation().work(sizes)) {
        System.out.println(
            String.join(
                "\t",
                name,
                workload.name(),
                work.kernel(),
                Long.toString(work.launches()),
                Long.toString(work.elements()),
                Double.toString(work.bytes()),
                Double.toString(work.flops()),
                work.pipe().name(),
                Double.toString(work.seconds(GpuPeaks.H100))));
      }
    }
  }

  private static void run(CudaDevice device, CudaWorkload workload) {
    try (Scope scope = device.openScope()) {
      Runnable operation = workload.operation().prepare(device, scope, CudaSizes.SMALL);
      device.synchronize();
      System.err.println(BEGIN + workload);
      operation.run();
      device.synchronize();
      System.err.println(END + workload);
    }
  }
}
