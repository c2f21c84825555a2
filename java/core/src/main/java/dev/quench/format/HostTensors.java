package dev.quench.format;

import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;

/** Small tensors that are made on the host: scales and zero points. */
final class HostTensors {
  private HostTensors() {}

  static HostTensor zeros(DType dtype, Shape shape, Arena arena) {
    return new HostTensor(dtype, shape, arena.allocate(dtype.bytes(shape.elements()), 64));
  }

  /** Sets element {@code i} of an F32 tensor. */
  static void setFloat(HostTensor tensor, long i, float value) {
    tensor.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
  }
}
