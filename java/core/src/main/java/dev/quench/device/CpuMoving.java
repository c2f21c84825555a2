package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.quench.tensor.Bfloat16;
import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;

/** Copies, casts and reorderings on the CPU. */
final class CpuMoving {
  /** Elements that one task moves: enough to be worth a hand-over, little enough to balance. */
  private static final long TASK_ELEMENTS = 1 << 16;

  /** Side of the square that a transposition holds in the first-level cache. */
  private static final long TILE = 32;

  private final Workers workers;

  CpuMoving(Workers workers) {
    this.workers = workers;
  }

  void convert(Tensor source, Tensor target) {
    HostMatrix from = HostMatrix.of(source);
    HostMatrix to = HostMatrix.of(target);
    requireShape(to, from.rows(), from.columns());
    requireCast(from.dtype(), to.dtype());
    overRows(
        from.rows(),
        from.columns(),
        row -> castRow(from, from.offset(row, 0), to, to.offset(row, 0), from.columns()));
  }

  void gatherRows(Tensor source, Tensor index, Tensor target) {
    HostMatrix from = HostMatrix.of(source);
    HostMatrix to = HostMatrix.of(target);
    HostMatrix rows = HostMatrix.of(index);
    requireShape(to, rows.columns(), from.columns());
    requireCast(from.dtype(), to.dtype());
    overRows(
        to.rows(),
        to.columns(),
        row -> {
          int wanted = rows.memory().getAtIndex(JAVA_INT_UNALIGNED, row);
          if (wanted < 0 || wanted >= from.rows()) {
            throw new IllegalArgumentException("row " + wanted + " of " + from);
          }
          castRow(from, from.offset(wanted, 0), to, to.offset(row, 0), from.columns());
        });
  }

  void transpose(Tensor source, Tensor target) {
    HostMatrix from = HostMatrix.of(source);
    HostMatrix to = HostMatrix.of(target);
    requireShape(to, from.columns(), from.rows());
    requireCast(from.dtype(), to.dtype());
    long bands = Math.ceilDiv(to.rows(), TILE);
    workers.run(
        bands,
        band -> {
          long row = band * TILE;
          long rows = Math.min(TILE, to.rows() - row);
          for (long column = 0; column < to.columns(); column += TILE) {
            transposeTile(from, to, row, rows, column, Math.min(TILE, to.columns() - column));
          }
        });
  }

  /** target[i, j] = H[max(index[i], index[j]), min(index[i], index[j])] for i ≤ j. */
  void gatherSymmetric(Tensor lower, Tensor index, Tensor target) {
    HostMatrix h = HostMatrix.of(lower);
    HostMatrix to = HostMatrix.of(target);
    HostMatrix order = HostMatrix.of(index);
    long n = h.rows();
    requireShape(h, n, n);
    requireShape(to, n, n);
    int[] from = new int[Math.toIntExact(n)];
    for (int i = 0; i < n; i++) {
      from[i] = order.memory().getAtIndex(JAVA_INT_UNALIGNED, i);
    }
    overRows(
        n,
        n,
        row -> {
          long i = from[(int) row];
          long out = to.offset(row, 0);
          for (int column = (int) row; column < n; column++) {
            long j = from[column];
            float value =
                h.memory().get(JAVA_FLOAT_UNALIGNED, h.offset(Math.max(i, j), Math.min(i, j)));
            to.memory().set(JAVA_FLOAT_UNALIGNED, out + column * 4L, value);
          }
        });
  }

  void diagonal(Tensor matrix, Tensor values) {
    HostMatrix from = HostMatrix.of(matrix);
    HostMatrix to = HostMatrix.of(values);
    requireShape(to, 1, from.rows());
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
    requireShape(from, 1, to.rows());
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

  private static void castRow(
      HostMatrix from, long fromOffset, HostMatrix to, long toOffset, long count) {
    MemorySegment x = from.memory();
    MemorySegment y = to.memory();
    if (from.dtype() == to.dtype()) {
      MemorySegment.copy(x, fromOffset, y, toOffset, from.dtype().bytes(count));
      return;
    }
    if (from.dtype() == DType.BF16 && to.dtype() == DType.F32) {
      widen(x, fromOffset, y, toOffset, count);
    } else if (from.dtype() == DType.F32 && to.dtype() == DType.BF16) {
      narrow(x, fromOffset, y, toOffset, count);
    } else {
      for (long i = 0; i < count; i++) {
        FloatAccess.set(
            to.dtype(), y, toOffset, i, FloatAccess.get(from.dtype(), x, fromOffset, i));
      }
    }
  }

  private static void widen(MemorySegment x, long from, MemorySegment y, long to, long count) {
    for (long i = 0; i < count; i++) {
      y.set(JAVA_INT_UNALIGNED, to + i * 4, x.get(JAVA_SHORT_UNALIGNED, from + i * 2) << 16);
    }
  }

  private static void narrow(MemorySegment x, long from, MemorySegment y, long to, long count) {
    for (long i = 0; i < count; i++) {
      y.set(
          JAVA_SHORT_UNALIGNED,
          to + i * 2,
          Bfloat16.fromFloat(x.get(JAVA_FLOAT_UNALIGNED, from + i * 4)));
    }
  }

  private static void transposeTile(
      HostMatrix from, HostMatrix to, long row, long rows, long column, long columns) {
    MemorySegment x = from.memory();
    MemorySegment y = to.memory();
    boolean same = from.dtype() == to.dtype();
    for (long r = row; r < row + rows; r++) {
      long out = to.offset(r, 0);
      for (long c = column; c < column + columns; c++) {
        if (!same) {
          FloatAccess.set(
              to.dtype(), y, out, c, FloatAccess.get(from.dtype(), x, from.offset(c, r), 0));
          continue;
        }
        switch (to.dtype().bits()) {
          case 8 -> y.set(JAVA_BYTE, out + c, x.get(JAVA_BYTE, from.offset(c, r)));
          case 16 ->
              y.set(
                  JAVA_SHORT_UNALIGNED,
                  out + c * 2,
                  x.get(JAVA_SHORT_UNALIGNED, from.offset(c, r)));
          case 32 ->
              y.set(JAVA_INT_UNALIGNED, out + c * 4, x.get(JAVA_INT_UNALIGNED, from.offset(c, r)));
          case 64 ->
              y.set(
                  JAVA_LONG_UNALIGNED, out + c * 8, x.get(JAVA_LONG_UNALIGNED, from.offset(c, r)));
          default -> throw new IllegalArgumentException("no transposition of " + to.dtype());
        }
      }
    }
  }

  static void requireShape(HostMatrix matrix, long rows, long columns) {
    if (matrix.rows() != rows || matrix.columns() != columns) {
      throw new IllegalArgumentException(matrix + " should be [" + rows + ", " + columns + "]");
    }
  }

  private static void requireCast(DType from, DType to) {
    boolean floats = isFloat(from) && isFloat(to);
    boolean integer = from == DType.I8 && to == DType.F32;
    if (from != to && !floats && !integer) {
      throw new IllegalArgumentException("no cast from " + from + " to " + to);
    }
  }

  private static boolean isFloat(DType dtype) {
    return dtype == DType.F32 || dtype == DType.BF16 || dtype == DType.F16;
  }
}
