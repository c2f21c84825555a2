package dev.quench.device;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;

final class VectorGemmTest {

  /** Vectors that the compiler failed to keep in registers show as allocations. */
  @Test
  @DisabledIfSystemProperty(
      named = VectorShapes.PROPERTY,
      matches = ".+",
      disabledReason = "lengths that the machine lacks are emulated with objects")
  void warmKernelsAllocateNothing() {
    SerialGemm gemm = new VectorGemm();
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (Arena arena = Arena.ofConfined()) {
      int size = 100;
      MemorySegment a = arena.allocate(4L * size * size, 64);
      MemorySegment b = arena.allocate(4L * size * size, 64);
      MemorySegment c = arena.allocate(4L * size * size, 64);
      long allocated = Long.MAX_VALUE;
      // Until the compiler is done, which is a matter of rounds, not of time.
      for (int round = 0; round < 200 && allocated > 0; round++) {
        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < 50; i++) {
          gemm.sgemm(
              (i & 1) != 0, (i & 2) != 0, size, size, size, 1, a, size, b, size, i % 3, c, size);
        }
        allocated = threads.getCurrentThreadAllocatedBytes() - before;
      }
      assertThat(allocated).isEqualTo(0);
    }
  }
}
