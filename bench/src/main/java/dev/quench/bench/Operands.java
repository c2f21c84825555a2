package dev.quench.bench;

import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/** Operands of benchmarks, in memory that the garbage collector frees. */
final class Operands {
  private Operands() {}

  /** Uniform in [−1, 1), the same in each run. */
  static Tensor random(Scope scope, long rows, long columns) {
    SplittableRandom random = new SplittableRandom(1);
    MemorySegment memory = Arena.ofAuto().allocate(DType.F32.bytes(rows * columns), 64);
    for (long i = 0; i < rows * columns; i++) {
      memory.setAtIndex(ValueLayout.JAVA_FLOAT, i, random.nextFloat(-1, 1));
    }
    return scope.upload(new HostTensor(DType.F32, Shape.of(rows, columns), memory));
  }

  /** The identity matrix. */
  static Tensor identity(Scope scope, long n) {
    MemorySegment memory = Arena.ofAuto().allocate(DType.F32.bytes(n * n), 64);
    for (long i = 0; i < n; i++) {
      memory.setAtIndex(ValueLayout.JAVA_FLOAT, i * n + i, 1);
    }
    return scope.upload(new HostTensor(DType.F32, Shape.of(n, n), memory));
  }
}
