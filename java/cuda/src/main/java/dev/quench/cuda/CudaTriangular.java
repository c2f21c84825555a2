package dev.quench.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.OptionalLong;

/**
 * Factorization and inversion of triangular matrices on the CUDA device: {@code cholesky.cu} of
 * {@code kernels/}. The host only launches; it waits once, for the column that failed.
 */
final class CudaTriangular {
  /** Columns that one block solves. */
  private static final long BLOCK = 64;

  /** Columns after which the rest of the matrix is updated: each update moves all of it. */
  private static final long OUTER = 4 * BLOCK;

  private static final long TILE = 128;
  private static final int THREADS = 256;
  private static final long MAX_ROWS = 65_535;

  private final Kernels kernels;
  private final CudaMemory memory;

  CudaTriangular(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
    this.memory = memory;
  }

  OptionalLong reverseCholesky(Tensor tensor) {
    CudaMatrix h = square(tensor);
    try (CudaScope scratch = memory.openScope()) {
      CudaMatrix inverse = scratch.allocate(DType.F32, BLOCK, BLOCK);
      CudaMatrix failed = scratch.zeros(DType.I64, 1, 1);
      for (long outerEnd = h.rows(); outerEnd > 0; outerEnd = Math.max(0, outerEnd - OUTER)) {
        long outer = Math.max(0, outerEnd - OUTER);
        for (long end = outerEnd; end > outer; end = Math.max(outer, end - BLOCK)) {
          long start = Math.max(outer, end - BLOCK);
          factor(h, start, end - start, inverse, failed);
          update(h, outer, start, start, end);
        }
        update(h, 0, outer, outer, outerEnd);
      }
      long column = read(failed) - 1;
      return column < 0 ? OptionalLong.empty() : OptionalLong.of(column);
    }
  }

  /** The columns of one block: its triangle, then all that lies above. */
  private void factor(CudaMatrix h, long start, long size, CudaMatrix inverse, CudaMatrix failed) {
    kernels.launch(
        "quench_cholesky_block_f32",
        Grid.of(1, THREADS),
        new Arguments()
            .matrix(h)
            .longs(start, size)
            .pointer(inverse.address())
            .pointer(failed.address()));
    kernels.launch(
        "quench_cholesky_panel_f32",
        Grid.over(start, TILE, THREADS),
        new Arguments().matrix(h).longs(start, size).pointer(inverse.address()));
  }

  /** Takes columns {@code firstTerm … endTerm} out of columns {@code first … end}. */
  private void update(CudaMatrix h, long first, long end, long firstTerm, long endTerm) {
    kernels.launch(
        "quench_cholesky_update_f32",
        Grid.of(Math.ceilDiv(end - first, TILE), Math.ceilDiv(end, TILE), THREADS),
        new Arguments().matrix(h).longs(first, end, firstTerm, endTerm));
  }

  private long read(CudaMatrix value) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(JAVA_LONG);
      memory.download(value, new HostTensor(DType.I64, Shape.of(1, 1), host));
      return host.get(JAVA_LONG, 0);
    }
  }

  void invertUpper(Tensor tensor) {
    CudaMatrix r = square(tensor);
    long n = r.rows();
    kernels.launch(
        "quench_clear_lower_f32",
        Grid.of(Math.min(n, MAX_ROWS), THREADS),
        new Arguments().matrix(r).longs(n));
    kernels.launch(
        "quench_invert_blocks_f32",
        Grid.over(n, BLOCK, THREADS),
        new Arguments().matrix(r).longs(n));
    long most = 0;
    for (long size = BLOCK; size < n; size *= 2) {
      most = Math.max(most, pairs(n, size) * size * size);
    }
    try (CudaScope scratch = memory.openScope()) {
      CudaMatrix product = scratch.allocate(DType.F32, 1, most);
      for (long size = BLOCK; size < n; size *= 2) {
        long tiles = Math.ceilDiv(size, TILE);
        Grid grid = Grid.of(tiles, tiles, pairs(n, size), THREADS);
        Arguments arguments = new Arguments().matrix(r).longs(n, size).pointer(product.address());
        kernels.launch("quench_invert_right_f32", grid, arguments);
        kernels.launch("quench_invert_left_f32", grid, arguments);
      }
    }
  }

  /** How many blocks of that size have a right neighbour to be joined with. */
  private static long pairs(long n, long size) {
    return Math.ceilDiv(n - size, 2 * size);
  }

  private static CudaMatrix square(Tensor tensor) {
    CudaMatrix matrix = CudaMatrix.of(tensor).require(DType.F32);
    return matrix.require(matrix.rows(), matrix.rows());
  }
}
