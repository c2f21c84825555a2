package dev.quench.device;

import static java.util.Objects.checkFromIndexSize;

import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.MemorySegment;

/**
 * The tensor of devices that work in host memory.
 *
 * @param memory starts at element (0, 0); little-endian
 */
record HostMatrix(DType dtype, long rows, long columns, long stride, MemorySegment memory)
    implements Tensor {

  static HostMatrix dense(DType dtype, long rows, long columns, MemorySegment memory) {
    return new HostMatrix(dtype, rows, columns, columns, memory);
  }

  /** The tensor as what it must be on this kind of device. */
  static HostMatrix of(Tensor tensor) {
    if (tensor instanceof HostMatrix matrix) {
      return matrix;
    }
    throw new IllegalArgumentException("a tensor of another device: " + tensor);
  }

  /** This matrix, which must have that dtype. */
  HostMatrix require(DType wanted) {
    if (dtype != wanted) {
      throw new IllegalArgumentException(this + " should be " + wanted);
    }
    return this;
  }

  /** This matrix, which must have that shape. */
  HostMatrix require(long wantedRows, long wantedColumns) {
    if (rows != wantedRows || columns != wantedColumns) {
      throw new IllegalArgumentException(
          this + " should be [" + wantedRows + ", " + wantedColumns + "]");
    }
    return this;
  }

  /** Byte offset of element (row, column). */
  long offset(long row, long column) {
    return (row * stride + column) * dtype.bits() / 8;
  }

  boolean isDense() {
    return stride == columns || rows <= 1;
  }

  @Override
  public HostMatrix slice(long row, long count, long column, long width) {
    checkFromIndexSize(row, count, rows);
    checkFromIndexSize(column, width, columns);
    if (count == 0 || width == 0) {
      return new HostMatrix(dtype, count, width, stride, memory.asSlice(0, 0));
    }
    long from = offset(row, column);
    long to = offset(row + count - 1, column + width);
    return new HostMatrix(dtype, count, width, stride, memory.asSlice(from, to - from));
  }

  @Override
  public HostMatrix rows(long row, long count) {
    return slice(row, count, 0, columns);
  }

  /** Copies the elements, row by row, to dense memory. */
  void copyTo(HostTensor target) {
    if (dtype != target.dtype() || rows * columns != target.shape().elements()) {
      throw new IllegalArgumentException(
          "download of " + this + " to " + target.dtype() + " " + target.shape());
    }
    long rowBytes = dtype.bytes(columns);
    for (long row = 0; row < rows; row++) {
      MemorySegment.copy(memory, offset(row, 0), target.data(), row * rowBytes, rowBytes);
    }
  }

  /** The same memory as a host tensor; only of a dense matrix. */
  HostTensor asHostTensor(Shape shape) {
    if (!isDense()) {
      throw new IllegalArgumentException("a view with stride " + stride + " isn't dense");
    }
    return new HostTensor(dtype, shape, memory.asSlice(0, dtype.bytes(rows * columns)));
  }

  @Override
  public String toString() {
    return dtype + " [" + rows + ", " + columns + "]" + (isDense() ? "" : " stride " + stride);
  }
}
