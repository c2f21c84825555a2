package dev.quench.device;

import static dev.quench.device.CpuMatrixProducts.startingAt;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.util.OptionalLong;

/**
 * Factorization and inversion of triangular matrices, blocked so that nearly all work is matrix
 * products (Golub and Van Loan, Matrix Computations, 4.2.9 and 3.1.8, run from the last column).
 *
 * <p>Two block sizes: {@link #INNER} columns are solved in scalar code at a time; the rest of the
 * matrix is touched once for {@link #OUTER} columns, since each touch moves it through the cache.
 */
final class CpuTriangular {
  private static final long INNER = TriangularBlock.MAX_SIZE;
  private static final long OUTER = 4 * INNER;

  /** Rows of one task. */
  private static final long BAND = 96;

  private final Workers workers;
  private final SerialGemm serial;
  private final HostPool pool;

  CpuTriangular(Workers workers, SerialGemm serial, HostPool pool) {
    this.workers = workers;
    this.serial = serial;
    this.pool = pool;
  }

  OptionalLong reverseCholesky(HostMatrix h) {
    try (HostScope scratch = new HostScope(pool)) {
      HostMatrix inverse = scratch.allocate(DType.F32, INNER, INNER);
      HostMatrix panel = scratch.allocate(DType.F32, h.rows(), INNER);
      HostMatrix squares = scratch.allocate(DType.F32, h.rows(), BAND);
      TriangularBlock block = new TriangularBlock();
      long outerEnd = h.rows();
      while (outerEnd > 0) {
        long outer = Math.max(0, outerEnd - OUTER);
        long end = outerEnd;
        while (end > outer) {
          long start = Math.max(outer, end - INNER);
          long size = end - start;
          block.load(h, start, size);
          long failed = block.reverseCholesky();
          if (failed >= 0) {
            return OptionalLong.of(start + failed);
          }
          block.store(h, start);
          block.invert();
          block.storeSquare(inverse);
          solvePanel(h, start, size, inverse, panel);
          subtractSquare(h, outer, start, start, end, squares);
          end = start;
        }
        subtractSquare(h, 0, outer, outer, outerEnd, squares);
        outerEnd = outer;
      }
    }
    return OptionalLong.empty();
  }

  /** {@code R[0:start, J] = H[0:start, J] · R[J, J]⁻ᵀ} for the columns J from {@code start} on. */
  private void solvePanel(
      HostMatrix h, long start, long size, HostMatrix inverse, HostMatrix panel) {
    workers.run(
        Math.ceilDiv(start, BAND),
        task -> {
          long row = task * BAND;
          long rows = Math.min(BAND, start - row);
          for (long r = row; r < row + rows; r++) {
            MemorySegment.copy(
                h.memory(),
                h.offset(r, start),
                panel.memory(),
                panel.offset(r, 0),
                size * Float.BYTES);
          }
          serial.sgemm(
              false,
              true,
              rows,
              size,
              size,
              1,
              startingAt(panel, row, 0),
              panel.stride(),
              inverse.memory(),
              inverse.stride(),
              0,
              startingAt(h, row, start),
              h.stride());
        });
  }

  /**
   * {@code H[i, j] -= Σ R[i, k] · R[j, k]} over {@code firstTerm ≤ k < endTerm}, for {@code first ≤
   * j < last} and {@code i ≤ j}.
   */
  private void subtractSquare(
      HostMatrix h, long first, long last, long firstTerm, long endTerm, HostMatrix squares) {
    long columnTiles = Math.ceilDiv(last - first, BAND);
    // Column tiles needn't start at a multiple of BAND, so that one more may lie above them.
    long rowTiles = Math.ceilDiv(last, BAND) + 1;
    workers.run(
        columnTiles * rowTiles,
        task -> {
          long column = first + task / rowTiles * BAND;
          long columns = Math.min(BAND, last - column);
          // Counted from the diagonal up, so that a tile never crosses it.
          long above = task % rowTiles;
          if (above == 0) {
            subtractTriangle(h, column, columns, firstTerm, endTerm, squares);
            return;
          }
          long rowEnd = column - (above - 1) * BAND;
          if (rowEnd > 0) {
            long row = Math.max(0, rowEnd - BAND);
            multiply(
                h, row, rowEnd - row, column, columns, firstTerm, endTerm, -1, 1, h, row, column);
          }
        });
  }

  /** The tile on the diagonal, by way of scratch: what lies below the diagonal isn't ours. */
  private void subtractTriangle(
      HostMatrix h, long start, long size, long firstTerm, long endTerm, HostMatrix squares) {
    multiply(h, start, size, start, size, firstTerm, endTerm, 1, 0, squares, start, 0);
    for (long i = 0; i < size; i++) {
      long square = squares.offset(start + i, 0);
      long target = h.offset(start + i, start);
      for (long j = i; j < size; j++) {
        long at = target + j * Float.BYTES;
        h.memory()
            .set(
                JAVA_FLOAT,
                at,
                h.memory().get(JAVA_FLOAT, at)
                    - squares.memory().get(JAVA_FLOAT, square + j * Float.BYTES));
      }
    }
  }

  /**
   * {@code C = alpha · R[row.., firstTerm:endTerm] · R[column.., firstTerm:endTerm]ᵀ + beta · C}.
   */
  private void multiply(
      HostMatrix r,
      long row,
      long rows,
      long column,
      long columns,
      long firstTerm,
      long endTerm,
      float alpha,
      float beta,
      HostMatrix c,
      long cRow,
      long cColumn) {
    serial.sgemm(
        false,
        true,
        rows,
        columns,
        endTerm - firstTerm,
        alpha,
        startingAt(r, row, firstTerm),
        r.stride(),
        startingAt(r, column, firstTerm),
        r.stride(),
        beta,
        startingAt(c, cRow, cColumn),
        c.stride());
  }

  void invertUpper(HostMatrix r) {
    clearBelowDiagonal(r);
    try (HostScope scratch = new HostScope(pool)) {
      HostMatrix panel = scratch.allocate(DType.F32, r.rows(), OUTER);
      invertBlocks(r, OUTER, panel, new TriangularBlock());
    }
  }

  private void clearBelowDiagonal(HostMatrix r) {
    workers.run(
        Math.ceilDiv(r.rows(), BAND),
        task -> {
          for (long i = task * BAND; i < Math.min(r.rows(), (task + 1) * BAND); i++) {
            r.memory().asSlice(r.offset(i, 0), i * Float.BYTES).fill((byte) 0);
          }
        });
  }

  /**
   * Inverts from left to right: with {@code U = R[0:j, 0:j]⁻¹} known, the columns J from j on are
   * {@code −U · (R[0:j, J] · R[J, J]⁻¹)}.
   */
  private void invertBlocks(
      HostMatrix r, long blockSize, HostMatrix panel, TriangularBlock scalar) {
    for (long start = 0; start < r.rows(); start += blockSize) {
      long size = Math.min(blockSize, r.rows() - start);
      HostMatrix diagonal = r.slice(start, size, start, size);
      if (size <= INNER) {
        scalar.load(r, start, size);
        scalar.invert();
        scalar.store(r, start);
      } else {
        invertBlocks(diagonal, INNER, panel, scalar);
      }
      multiplyByInverses(r, start, size, diagonal, panel);
    }
  }

  private void multiplyByInverses(
      HostMatrix r, long start, long size, HostMatrix diagonal, HostMatrix panel) {
    long bands = Math.ceilDiv(start, BAND);
    workers.run(
        bands,
        task -> {
          long row = task * BAND;
          serial.sgemm(
              false,
              false,
              Math.min(BAND, start - row),
              size,
              size,
              1,
              startingAt(r, row, start),
              r.stride(),
              diagonal.memory(),
              diagonal.stride(),
              0,
              startingAt(panel, row, 0),
              panel.stride());
        });
    workers.run(
        bands,
        task -> {
          long row = task * BAND;
          serial.sgemm(
              false,
              false,
              Math.min(BAND, start - row),
              size,
              start - row,
              -1,
              startingAt(r, row, row),
              r.stride(),
              startingAt(panel, row, 0),
              panel.stride(),
              0,
              startingAt(r, row, start),
              r.stride());
        });
  }
}
