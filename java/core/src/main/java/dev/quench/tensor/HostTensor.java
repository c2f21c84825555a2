package dev.quench.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

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

  /**
   * Element {@code i} in row-major order, as a float.
   *
   * @throws IllegalArgumentException if the dtype isn't one of floats that fit one
   */
  public float floatAt(long i) {
    return switch (dtype) {
      case F32 -> data.get(ValueLayout.JAVA_FLOAT_UNALIGNED, i * 4);
      case BF16 -> Bfloat16.toFloat(data.get(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2));
      case F16 -> Float.float16ToFloat(data.get(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2));
      case F8_E4M3 -> Float8E4M3.toFloat(data.get(ValueLayout.JAVA_BYTE, i));
      case F8_E8M0 -> Float8E8M0.toFloat(data.get(ValueLayout.JAVA_BYTE, i));
      default -> throw new IllegalArgumentException("not a float: " + dtype);
    };
  }

  /** The same bytes as elements of another type of the same width. */
  public HostTensor reinterpret(DType other) {
    if (other.bits() != dtype.bits()) {
      throw new IllegalArgumentException(dtype + " isn't as wide as " + other);
    }
    return new HostTensor(other, shape, data);
  }
}
