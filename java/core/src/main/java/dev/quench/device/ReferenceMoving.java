package dev.quench.device;

import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;

/** Copies, casts and reorderings, one element at a time. */
final class ReferenceMoving {
  private ReferenceMoving() {}

  static void convert(HostMatrix source, HostMatrix target) {
    target.require(source.rows(), source.columns());
    for (long r = 0; r < target.rows(); r++) {
      for (long c = 0; c < target.columns(); c++) {
        cast(source, r, c, target, r, c);
      }
    }
  }

  static void transpose(HostMatrix source, HostMatrix target) {
    target.require(source.columns(), source.rows());
    for (long r = 0; r < target.rows(); r++) {
      for (long c = 0; c < target.columns(); c++) {
        cast(source, c, r, target, r, c);
      }
    }
  }

  static void gatherRows(HostMatrix source, HostMatrix index, HostMatrix target) {
    index.require(DType.I32).require(1, target.rows());
    target.require(target.rows(), source.columns());
    for (long r = 0; r < target.rows(); r++) {
      int from = FloatAccess.getInt(index, r);
      if (from < 0 || from >= source.rows()) {
        throw new IllegalArgumentException("row " + from + " of " + source);
      }
      for (long c = 0; c < target.columns(); c++) {
        cast(source, from, c, target, r, c);
      }
    }
  }

  static void gatherSymmetric(HostMatrix lower, HostMatrix index, HostMatrix target) {
    long n = lower.rows();
    lower.require(DType.F32).require(n, n);
    target.require(DType.F32).require(n, n);
    index.require(DType.I32).require(1, n);
    for (long i = 0; i < n; i++) {
      for (long j = i; j < n; j++) {
        int a = FloatAccess.getInt(index, i);
        int b = FloatAccess.getInt(index, j);
        cast(lower, Math.max(a, b), Math.min(a, b), target, i, j);
      }
    }
  }

  static void diagonal(HostMatrix matrix, HostMatrix values) {
    matrix.require(DType.F32).require(matrix.rows(), matrix.rows());
    values.require(DType.F32).require(1, matrix.rows());
    for (long i = 0; i < matrix.rows(); i++) {
      cast(matrix, i, i, values, 0, i);
    }
  }

  static void setDiagonal(HostMatrix values, HostMatrix matrix) {
    matrix.require(DType.F32).require(matrix.rows(), matrix.rows());
    values.require(DType.F32).require(1, matrix.rows());
    for (long i = 0; i < matrix.rows(); i++) {
      cast(values, 0, i, matrix, i, i);
    }
  }

  private static void cast(
      HostMatrix source, long row, long column, HostMatrix target, long toRow, long toColumn) {
    DType from = source.dtype();
    DType to = target.dtype();
    if (from == to) {
      MemorySegment.copy(
          source.memory(),
          source.offset(row, column),
          target.memory(),
          target.offset(toRow, toColumn),
          from.bytes(1));
      return;
    }
    boolean floats = isFloat(from) && isFloat(to);
    if (!floats && !(from == DType.I8 && to == DType.F32)) {
      throw new IllegalArgumentException("no cast from " + from + " to " + to);
    }
    FloatAccess.set(target, toRow, toColumn, FloatAccess.get(source, row, column));
  }

  private static boolean isFloat(DType dtype) {
    return dtype == DType.F32 || dtype == DType.BF16 || dtype == DType.F16;
  }
}
