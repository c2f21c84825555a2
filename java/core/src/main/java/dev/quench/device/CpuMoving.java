package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;

/** Copies, casts and reorderings on the CPU. */
final class CpuMoving {
  /** Elements that one task moves: enough to be worth a hand-over, little enough to balance. */
  private static final long TASK_ELEMENTS = 1 << 16;

  /** Side of the tile in which a symmetric matrix is reordered. */
  private static final long TILE = 64;

  /** Side of the square that a transposition holds in the second-level cache. */
  private static final long SQUARE = 128;

  /** Not a power of two, so that a column of the square spreads over the cache's sets. */
  private static final long SQUARE_STRIDE = SQUARE + 16;

  private final Workers workers;
  private final HostPool pool;

  CpuMoving(Workers workers, HostPool pool) {
    this.workers = workers;
    this.pool = pool;
  }

  void convert(Tensor source, Tensor target) {
    HostMatrix from = HostMatrix.of(source);
    HostMatrix to = HostMatrix.of(target);
    to.require(from.rows(), from.columns());
    Casts.require(from.dtype(), to.dtype());
    overRows(from.rows(), from.columns(), row -> castRow(from, row, to, row));
  }

  void gatherRows(Tensor source, Tensor index, Tensor target) {
    HostMatrix from = HostMatrix.of(source);
    HostMatrix to = HostMatrix.of(target);
    HostMatrix rows = HostMatrix.of(index).require(DType.I32).require(1, to.rows());
    to.require(rows.columns(), from.columns());
    Casts.require(from.dtype(), to.dtype());
    overRows(
        to.rows(),
        to.columns(),
        row -> {
          int wanted = FloatAccess.getInt(rows, row);
          if (wanted < 0 || wanted >= from.rows()) {
            throw new IllegalArgumentException("row " + wanted + " of " + from);
          }
          castRow(from, wanted, to, row);
        });
  }

  void transpose(Tensor source, Tensor target) {
    HostMatrix from = HostMatrix.of(source);
    HostMatrix to = HostMatrix.of(target);
    to.require(from.columns(), from.rows());
    Casts.require(from.dtype(), to.dtype());
    requireTransposable(to.dtype());
    long across = Math.ceilDiv(to.columns(), SQUARE);
    workers.run(
        Math.ceilDiv(to.rows(), SQUARE) * across,
        square -> {
          long row = square / across * SQUARE;
          long column = square % across * SQUARE;
          long rows = Math.min(SQUARE, to.rows() - row);
          long columns = Math.min(SQUARE, to.columns() - column);
          HostPool.Buffer buffer = pool.take(to.dtype().bytes(SQUARE * SQUARE_STRIDE));
          transposeSquare(
              from.slice(column, columns, row, rows),
              buffer.memory(),
              to.slice(row, rows, column, columns));
          pool.give(buffer);
        });
  }

  /** target[i, j] = H[max(index[i], index[j]), min(index[i], index[j])] for i ≤ j. */
  void gatherSymmetric(Tensor lower, Tensor index, Tensor target) {
    HostMatrix h = CpuModel.f32(lower);
    HostMatrix to = CpuModel.f32(target);
    long n = h.rows();
    HostMatrix order = HostMatrix.of(index).require(DType.I32).require(1, n);
    h.require(n, n);
    to.require(n, n);
    int[] from = new int[Math.toIntExact(n)];
    for (int i = 0; i < n; i++) {
      from[i] = FloatAccess.getInt(order, i);
      if (from[i] < 0 || from[i] >= n) {
        throw new IllegalArgumentException("row " + from[i] + " of " + h);
      }
    }
    // Down a column of H every element lies in a page of its own: a tile stays among few.
    workers.run(
        Math.ceilDiv(n, TILE),
        band -> {
          int row = (int) (band * TILE);
          for (int column = row; column < n; column += (int) TILE) {
            gatherTile(h, from, row, column, to);
          }
        });
  }

  private static void gatherTile(HostMatrix h, int[] from, int row, int column, HostMatrix to) {
    MemorySegment x = h.memory();
    MemorySegment y = to.memory();
    int endRow = (int) Math.min(from.length, row + TILE);
    int endColumn = (int) Math.min(from.length, column + TILE);
    for (int r = row; r < endRow; r++) {
      long i = from[r];
      long out = to.offset(r, 0);
      for (int c = Math.max(r, column); c < endColumn; c++) {
        long j = from[c];
        long at = Math.max(i, j) * h.stride() + Math.min(i, j);
        y.set(JAVA_INT_UNALIGNED, out + c * 4L, x.get(JAVA_INT_UNALIGNED, at * 4));
      }
    }
  }

  void diagonal(Tensor matrix, Tensor values) {
    HostMatrix from = HostMatrix.of(matrix);
    HostMatrix to = HostMatrix.of(values);
    to.require(1, from.rows());
    for (long i = 0; i < from.rows(); i++) {
      to.memory()
          .set(
              JAVA_FLOAT_UNALIGNED,
              to.offset(0, i),
              from.memory().get(JAVA_FLOAT_UNALIGNED, from.offset(i, i)));
    }
  }

  void setDiagonal(Tensor values, Tensor matrix) {
    HostMatrix from = HostMatrix.of(values);
    HostMatrix to = HostMatrix.of(matrix);
    from.require(1, to.rows());
    for (long i = 0; i < to.rows(); i++) {
      to.memory()
          .set(
              JAVA_FLOAT_UNALIGNED,
              to.offset(i, i),
              from.memory().get(JAVA_FLOAT_UNALIGNED, from.offset(0, i)));
    }
  }

  private void overRows(long rows, long columns, Workers.Task task) {
    long rowsPerTask = Math.max(1, TASK_ELEMENTS / Math.max(1, columns));
    workers.run(
        Math.ceilDiv(rows, rowsPerTask),
        part -> {
          long end = Math.min(rows, (part + 1) * rowsPerTask);
          for (long row = part * rowsPerTask; row < end; row++) {
            task.run(row);
          }
        });
  }

  private static void castRow(HostMatrix from, long row, HostMatrix to, long toRow) {
    Casts.row(
        from.dtype(),
        from.memory(),
        from.offset(row, 0),
        to.dtype(),
        to.memory(),
        to.offset(toRow, 0),
        from.columns());
  }

  /**
   * Casts a square into dense scratch memory, row by row, and transposes from there: so both
   * matrices are only touched along their rows, and a row length that is a power of two doesn't
   * hurt.
   */
  private static void transposeSquare(HostMatrix from, MemorySegment square, HostMatrix to) {
    for (long r = 0; r < from.rows(); r++) {
      Casts.row(
          from.dtype(),
          from.memory(),
          from.offset(r, 0),
          to.dtype(),
          square,
          to.dtype().bytes(r * SQUARE_STRIDE),
          from.columns());
    }
    for (long r = 0; r < to.rows(); r++) {
      long at = to.offset(r, 0);
      switch (to.dtype().bits()) {
        case 8 -> column8(square, r, to.memory(), at, to.columns());
        case 16 -> column16(square, r, to.memory(), at, to.columns());
        case 32 -> column32(square, r, to.memory(), at, to.columns());
        default -> column64(square, r, to.memory(), at, to.columns());
      }
    }
  }

  private static void column8(MemorySegment x, long column, MemorySegment y, long to, long count) {
    for (long i = 0; i < count; i++) {
      y.set(JAVA_BYTE, to + i, x.get(JAVA_BYTE, column + i * SQUARE_STRIDE));
    }
  }

  private static void column16(MemorySegment x, long column, MemorySegment y, long to, long count) {
    for (long i = 0; i < count; i++) {
      y.set(
          JAVA_SHORT_UNALIGNED,
          to + i * 2,
          x.get(JAVA_SHORT_UNALIGNED, (column + i * SQUARE_STRIDE) * 2));
    }
  }

  private static void column32(MemorySegment x, long column, MemorySegment y, long to, long count) {
    for (long i = 0; i < count; i++) {
      y.set(
          JAVA_INT_UNALIGNED,
          to + i * 4,
          x.get(JAVA_INT_UNALIGNED, (column + i * SQUARE_STRIDE) * 4));
    }
  }

  private static void column64(MemorySegment x, long column, MemorySegment y, long to, long count) {
    for (long i = 0; i < count; i++) {
      y.set(
          JAVA_LONG_UNALIGNED,
          to + i * 8,
          x.get(JAVA_LONG_UNALIGNED, (column + i * SQUARE_STRIDE) * 8));
    }
  }

  private static void requireTransposable(DType dtype) {
    if (dtype.bits() % 8 != 0) {
      throw new IllegalArgumentException("no transposition of " + dtype);
    }
  }
}
