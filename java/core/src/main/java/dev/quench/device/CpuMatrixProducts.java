package dev.quench.device;

import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.util.OptionalLong;

/**
 * Matrix products on host memory: the result is cut into tiles, each of them summed by one thread,
 * in an order that depends on shapes alone.
 *
 * <p>An operand whose rows are summed over (Aᵀ, or B as it is) is read down its columns when it is
 * packed. Rows at a distance of a multiple of 512 bytes meet in few sets of the L1 cache, and
 * packing slows the product to a third. Such operands are copied to rows that are {@link #PADDING}
 * elements longer.
 */
final class CpuMatrixProducts {
  /** Elements of a stride whose multiples are avoided where operands are read down columns. */
  private static final long ALIASING = 128;

  private static final long PADDING = 16;

  /** Below this many uses of each element, copying an operand costs more than it saves. */
  private static final long USES_WORTH_A_COPY = 64;

  /** Depth of one product of syrk: longer ones fall out of L2. */
  private static final long TOKENS = 1024;

  /** Rows of the strips that a triangle on the diagonal is cut into: 12 of them are wasted work. */
  private static final long STRIP = 24;

  private final Workers workers;
  private final SerialGemm serial;
  private final HostPool pool;
  private final CpuTriangular triangular;

  CpuMatrixProducts(Workers workers, SerialGemm serial, HostPool pool) {
    this.workers = workers;
    this.serial = serial;
    this.pool = pool;
    this.triangular = new CpuTriangular(workers, serial, pool);
  }

  void gemm(
      float alpha,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      float beta,
      Tensor c) {
    HostMatrix left = f32(a, "a");
    HostMatrix right = f32(b, "b");
    HostMatrix result = f32(c, "c");
    long m = transposeA ? left.columns() : left.rows();
    long k = transposeA ? left.rows() : left.columns();
    long n = transposeB ? right.rows() : right.columns();
    long rightDepth = transposeB ? right.columns() : right.rows();
    if (k != rightDepth || m != result.rows() || n != result.columns()) {
      throw new IllegalArgumentException(
          "op(a) [%d, %d] · op(b) [%d, %d] into %s".formatted(m, k, rightDepth, n, result));
    }
    if (m == 0 || n == 0) {
      return;
    }
    try (HostScope scratch = new HostScope(pool)) {
      HostMatrix unaliasedA =
          transposeA && aliases(left) && n >= USES_WORTH_A_COPY ? padded(left, scratch) : left;
      HostMatrix unaliasedB =
          !transposeB && aliases(right) && m >= USES_WORTH_A_COPY ? padded(right, scratch) : right;
      multiply(alpha, unaliasedA, transposeA, unaliasedB, transposeB, beta, result, k);
    }
  }

  private void multiply(
      float alpha,
      HostMatrix a,
      boolean transposeA,
      HostMatrix b,
      boolean transposeB,
      float beta,
      HostMatrix c,
      long k) {
    Tiles tiles = Tiles.of(c.rows(), c.columns());
    workers.run(
        tiles.count(),
        index -> {
          long row = tiles.row(index);
          long column = tiles.column(index);
          long rows = Math.min(tiles.height(), c.rows() - row);
          long columns = Math.min(tiles.width(), c.columns() - column);
          serial.sgemm(
              transposeA,
              transposeB,
              rows,
              columns,
              k,
              alpha,
              startingAt(a, transposeA ? 0 : row, transposeA ? row : 0),
              a.stride(),
              startingAt(b, transposeB ? column : 0, transposeB ? 0 : column),
              b.stride(),
              beta,
              startingAt(c, row, column),
              c.stride());
        });
  }

  void syrk(Tensor x, Tensor h) {
    HostMatrix input = HostMatrix.of(x);
    if (input.dtype() != DType.BF16) {
      input = f32(x, "x");
    }
    HostMatrix sum = f32(h, "h");
    long n = input.columns();
    if (sum.rows() != n || sum.columns() != n) {
      throw new IllegalArgumentException("xᵀ·x of x " + input + " into " + sum);
    }
    LowerTiles tiles = LowerTiles.of(n);
    for (long token = 0; token < input.rows(); token += TOKENS) {
      long count = Math.min(TOKENS, input.rows() - token);
      try (HostScope scratch = new HostScope(pool)) {
        HostMatrix part = input.slice(token, count, 0, n);
        boolean copies = part.dtype() != DType.F32 || (aliases(part) && n >= USES_WORTH_A_COPY);
        HostMatrix chunk = copies ? padded(part, scratch) : part;
        workers.run(tiles.count(), index -> accumulate(chunk, tiles.tile(index), sum));
      }
    }
  }

  /** One tile of {@code h += xᵀ·x}; a triangle in strips that end just behind the diagonal. */
  private void accumulate(HostMatrix x, LowerTiles.Tile tile, HostMatrix h) {
    if (!tile.onDiagonal()) {
      accumulate(x, tile.row(), tile.rows(), tile.column(), tile.columns(), h);
      return;
    }
    for (long row = 0; row < tile.rows(); row += STRIP) {
      long rows = Math.min(STRIP, tile.rows() - row);
      accumulate(x, tile.row() + row, rows, tile.column(), row + rows, h);
    }
  }

  private void accumulate(
      HostMatrix x, long row, long rows, long column, long columns, HostMatrix h) {
    serial.sgemm(
        true,
        false,
        rows,
        columns,
        x.rows(),
        1,
        startingAt(x, 0, row),
        x.stride(),
        startingAt(x, 0, column),
        x.stride(),
        1,
        startingAt(h, row, column),
        h.stride());
  }

  OptionalLong reverseCholesky(Tensor h) {
    return triangular.reverseCholesky(square(f32(h, "h")));
  }

  void invertUpper(Tensor r) {
    triangular.invertUpper(square(f32(r, "r")));
  }

  private static boolean aliases(HostMatrix x) {
    return x.stride() % ALIASING == 0 && x.rows() > STRIP;
  }

  /** A copy in F32 whose rows are longer. */
  private HostMatrix padded(HostMatrix x, HostScope scratch) {
    HostMatrix copy =
        scratch
            .allocate(DType.F32, x.rows(), x.columns() / ALIASING * ALIASING + ALIASING + PADDING)
            .slice(0, x.rows(), 0, x.columns());
    long rows = 64;
    workers.run(
        Math.ceilDiv(x.rows(), rows),
        task -> {
          for (long r = task * rows; r < Math.min(x.rows(), (task + 1) * rows); r++) {
            Casts.row(
                x.dtype(),
                x.memory(),
                x.offset(r, 0),
                DType.F32,
                copy.memory(),
                copy.offset(r, 0),
                x.columns());
          }
        });
    return copy;
  }

  /** The memory of x from element (row, column) on. */
  static MemorySegment startingAt(HostMatrix x, long row, long column) {
    return x.memory().asSlice(x.offset(row, column));
  }

  private static HostMatrix square(HostMatrix x) {
    if (x.rows() != x.columns()) {
      throw new IllegalArgumentException("not square: " + x);
    }
    return x;
  }

  private static HostMatrix f32(Tensor tensor, String name) {
    HostMatrix matrix = HostMatrix.of(tensor);
    if (matrix.dtype() != DType.F32) {
      throw new IllegalArgumentException(name + " is not F32: " + matrix);
    }
    return matrix;
  }
}
