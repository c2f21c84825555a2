package dev.quench.cuda;

import static java.util.Objects.checkFromIndexSize;

import dev.quench.device.Tensor;
import dev.quench.tensor.DType;

/**
 * The tensor of the CUDA device.
 *
 * @param stride elements between the starts of two rows
 * @param address device address of element (0, 0)
 */
public record CudaMatrix(DType dtype, long rows, long columns, long stride, long address)
    implements Tensor {

  static CudaMatrix dense(DType dtype, long rows, long columns, long address) {
    return new CudaMatrix(dtype, rows, columns, columns, address);
  }

  /**
   * The tensor as what it must be on this kind of device.
   *
   * @throws IllegalArgumentException if it isn't
   */
  public static CudaMatrix of(Tensor tensor) {
    if (tensor instanceof CudaMatrix matrix) {
      return matrix;
    }
    throw new IllegalArgumentException("a tensor of another device: " + tensor);
  }

  /** This matrix, which must have that dtype. */
  public CudaMatrix require(DType wanted) {
    if (dtype != wanted) {
      throw new IllegalArgumentException(this + " should be " + wanted);
    }
    return this;
  }

  /** This matrix, which must have that shape. */
  public CudaMatrix require(long wantedRows, long wantedColumns) {
    if (rows != wantedRows || columns != wantedColumns) {
      throw new IllegalArgumentException(
          this + " should be [" + wantedRows + ", " + wantedColumns + "]");
    }
    return this;
  }

  /** Whether the rows lie one after the other without gaps. */
  public boolean isDense() {
    return stride == columns || rows <= 1;
  }

  @Override
  public CudaMatrix slice(long row, long count, long column, long width) {
    checkFromIndexSize(row, count, rows);
    checkFromIndexSize(column, width, columns);
    return new CudaMatrix(
        dtype, count, width, stride, address + dtype.bytes(row * stride + column));
  }

  @Override
  public CudaMatrix rows(long row, long count) {
    return slice(row, count, 0, columns);
  }

  @Override
  public CudaMatrix columns(long column, long width) {
    return slice(0, rows, column, width);
  }

  @Override
  public String toString() {
    return dtype + " [" + rows + ", " + columns + "]" + (isDense() ? "" : " stride " + stride);
  }
}
