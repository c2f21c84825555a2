package dev.quench.cuda;

import dev.quench.tensor.DType;
import java.util.stream.Stream;

/**
 * How a matrix is shared among the threads of a kernel that takes four neighbouring elements, a
 * quad, at a time: {@code overQuads} of {@code kernels/elements.cuh}.
 *
 * @param widthBits a block is 2^widthBits threads wide
 */
record Quads(Grid grid, int widthBits) {
  private static final int THREADS = 256;
  private static final int THREAD_BITS = 8;
  private static final long MAX_GRID_ROWS = 65_535;

  /**
   * @param quads that a thread of the kernel takes
   */
  static Quads over(long rows, long columns, int quads) {
    int bits = 0;
    while (bits < THREAD_BITS && 4L * quads << bits < columns) {
      bits++;
    }
    long across = Math.ceilDiv(columns, 4L * quads << bits);
    long down = Math.ceilDiv(rows, THREADS >> bits);
    return new Quads(Grid.of(across, Math.min(down, MAX_GRID_ROWS), THREADS), bits);
  }

  /** True if elementwise work on them may take each as one row. */
  static boolean flat(CudaMatrix... matrices) {
    return Stream.of(matrices).allMatch(CudaMatrix::isDense);
  }

  /** The elements of a dense matrix as one row. */
  static CudaMatrix asRow(CudaMatrix matrix) {
    return row(
        matrix.dtype(), Math.multiplyExact(matrix.rows(), matrix.columns()), matrix.address());
  }

  /** One row, with a stride that doesn't tell kernels that its quads might not be aligned. */
  private static CudaMatrix row(DType dtype, long columns, long address) {
    return new CudaMatrix(dtype, 1, columns, Math.ceilDiv(columns, 4) * 4, address);
  }
}
