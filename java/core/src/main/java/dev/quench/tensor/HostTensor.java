package dev.quench.tensor;

import java.lang.foreign.MemorySegment;

/**
 * A tensor in host memory: little-endian, row-major, dense. It doesn't own its memory; whoever
 * opened the arena of {@code data} closes it.
 *
 * @param data exactly {@code dtype.bytes(shape.elements())} bytes
 */
public record HostTensor(DType dtype, Shape shape, MemorySegment data) {
  public HostTensor {
    long bytes = dtype.bytes(shape.elements());
    if (data.byteSize() != bytes) {
      throw new IllegalArgumentException(
          dtype + " " + shape + " takes " + bytes + " bytes, not " + data.byteSize());
    }
  }

  /** Product of all dimensions but the last: the rows of the tensor read as a matrix. */
  public long rows() {
    return shape.rank() == 0 ? 1 : columns() == 0 ? 0 : shape.elements() / columns();
  }

  /** The last dimension; 1 for a scalar. */
  public long columns() {
    return shape.rank() == 0 ? 1 : shape.dim(-1);
  }
}
