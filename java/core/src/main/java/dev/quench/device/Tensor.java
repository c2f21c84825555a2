package dev.quench.device;

import dev.quench.tensor.DType;

/**
 * A matrix on a {@link Device}, or a rectangular view of one: an opaque handle. Vectors are
 * matrices of one row. Element (r, c) lies at index {@code r * stride + c} from the view's start. A
 * handle is valid until the {@link Scope} that made it closes.
 */
public interface Tensor {
  DType dtype();

  long rows();

  long columns();

  /** Elements between the starts of two rows; at least {@link #columns}. */
  long stride();

  /**
   * The view of rows {@code [row, row + rows)} and columns {@code [column, column + columns)}: the
   * same memory.
   *
   * @throws IndexOutOfBoundsException if it doesn't lie inside this tensor
   */
  Tensor slice(long row, long rows, long column, long columns);

  /** All columns of rows {@code [row, row + rows)}. */
  default Tensor rows(long row, long rows) {
    return slice(row, rows, 0, columns());
  }

  /** All rows of columns {@code [column, column + columns)}. */
  default Tensor columns(long column, long columns) {
    return slice(0, rows(), column, columns);
  }
}
