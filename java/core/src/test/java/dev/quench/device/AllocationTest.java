package dev.quench.device;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.quench.tensor.DType;
import java.lang.management.ManagementFactory;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * A vector that reaches a call which wasn't inlined becomes an object: results stay right, but take
 * 15 times as long. Such a kernel allocates some bytes per element; a good one only per task.
 */
final class AllocationTest {
  private static final int ROWS = 512;
  private static final int COLUMNS = 576;

  /** A boxed vector has at least a header and 16 bytes of data for its 4 to 16 floats. */
  private static final double BYTES_PER_ELEMENT = 0.5;

  /**
   * @param elements how many elements the operation computes with vectors
   */
  private record Job(String name, long elements, Consumer<Device> run) {
    Job(String name, Consumer<Device> run) {
      this(name, (long) ROWS * COLUMNS, run);
    }

    long limit() {
      return (long) (BYTES_PER_ELEMENT * elements);
    }
  }

  @Test
  void kernelsDontBoxTheirVectors() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (CpuDevice device = new CpuDevice(1);
        Scope scope = device.openScope()) {
      for (Job job : jobs(scope)) {
        long allocated = Long.MAX_VALUE;
        // Until it is compiled, but no longer than a compiler may reasonably need.
        for (int i = 0; i < 400 && allocated > job.limit(); i++) {
          long before = threads.getCurrentThreadAllocatedBytes();
          job.run.accept(device);
          allocated = Math.min(allocated, threads.getCurrentThreadAllocatedBytes() - before);
        }
        assertThat(allocated).as("bytes that %s allocates", job.name).isLessThan(job.limit());
      }
    }
  }

  private static List<Job> jobs(Scope scope) {
    HostMatrix x = Matrices.random(scope, ROWS, COLUMNS, 0, 1);
    HostMatrix y = Matrices.random(scope, ROWS, COLUMNS, 0, 2);
    Tensor row = Matrices.random(scope, 1, COLUMNS, 0, 3);
    Tensor turned = scope.allocate(DType.F32, COLUMNS, ROWS);
    Tensor narrow = scope.zeros(DType.BF16, ROWS, COLUMNS);
    Tensor half = scope.zeros(DType.F16, ROWS, COLUMNS);
    Tensor codes = scope.zeros(DType.I8, ROWS, COLUMNS);
    Tensor index = scope.ints(IntStream.range(0, ROWS).toArray());
    Tensor angles = Matrices.random(scope, ROWS, 32, 0, 4);
    Tensor line = scope.allocate(DType.F32, 1, ROWS);
    long[] starts = {0, ROWS};
    AttentionSpec spec = new AttentionSpec(9, 9, 64, 0.125f);
    return List.of(
        new Job("add", d -> d.add(x, y)),
        new Job("addRow", d -> d.addRow(row, y)),
        new Job("hadamard of 64", d -> d.hadamard(y, 64)),
        new Job("hadamard of 576", d -> d.hadamard(y, 576)),
        new Job("rmsNorm", d -> d.rmsNorm(x, row, 1e-5f, y)),
        new Job("rope", d -> d.rope(y, 64, index, angles, angles)),
        new Job("attention", 9L * ROWS * ROWS / 2, d -> d.attention(x, x, x, spec, starts, y)),
        new Job("silu", d -> d.gatedActivation(Activation.SILU, x, x, y)),
        new Job("logProbability", d -> d.logProbability(x, index, line)),
        new Job("F32 to BF16", d -> d.convert(x, narrow)),
        new Job("BF16 to F32", d -> d.convert(narrow, y)),
        new Job("F32 to F16", d -> d.convert(x, half)),
        new Job("F16 to F32", d -> d.convert(half, y)),
        new Job("I8 to F32", d -> d.convert(codes, y)),
        new Job("transpose", d -> d.transpose(x, turned)),
        new Job("transpose of BF16", d -> d.transpose(narrow, turned)),
        new Job("gatherRows", d -> d.gatherRows(x, index, y)));
  }
}
