package dev.quench.cuda;

import dev.quench.device.HadamardMatrix;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;

/** The Walsh-Hadamard transform on the CUDA device: {@code hadamard.cu} of {@code kernels/}. */
final class CudaHadamard {
  /** Bits that a warp transforms in registers. */
  private static final int LOW_BITS = 10;

  /** Bits that a thread transforms afterwards. */
  private static final int HIGH_BITS = 5;

  /** Columns of a block, unless a piece has more. */
  private static final long SPAN = 8192;

  private static final int THREADS = 256;
  private static final int STRIDED_THREADS = 128;
  private static final long MAX_ROWS = 65_535;

  private final Kernels kernels;

  /** Floats that a block's shared memory holds. */
  private final long room;

  CudaHadamard(Kernels kernels) {
    this(kernels, kernels.device().sharedPerBlock() / Float.BYTES);
  }

  /**
   * @param room floats that a block may hold; a longer piece takes more than one pass
   */
  CudaHadamard(Kernels kernels, long room) {
    this.kernels = kernels;
    this.room = room;
  }

  void hadamard(Tensor tensor, long size) {
    HadamardMatrix h = HadamardMatrix.of(size);
    CudaMatrix matrix = CudaMatrix.of(tensor).require(DType.F32);
    if (matrix.columns() % size != 0) {
      throw new IllegalArgumentException(matrix + " in pieces of " + size + " columns");
    }
    CudaMatrix x = matrix.isDense() ? asRow(matrix) : matrix;
    float scale = (float) (1 / Math.sqrt(size));
    if (h.base() == 1) {
      transform(x, h.log2(), scale);
    } else if (h.log2() <= LOW_BITS && size <= room) {
      transformWithBase(x, h, scale);
    } else {
      transform(x, h.log2(), 1);
      transformAtDistance(x, h.log2(), h.base(), scale);
    }
  }

  private static CudaMatrix asRow(CudaMatrix dense) {
    long elements = Math.multiplyExact(dense.rows(), dense.columns());
    return new CudaMatrix(dense.dtype(), 1, elements, elements, dense.address());
  }

  /** Pieces of 2^bits columns. */
  private void transform(CudaMatrix x, int bits, float scale) {
    int low = Math.min(bits, LOW_BITS);
    int high = Math.min(bits - low, HIGH_BITS);
    while (1L << (low + high) > room) {
      high--;
    }
    int done = low + high;
    long span = Math.max(SPAN, 1L << done);
    kernels.launch(
        "quench_hadamard_f32",
        grid(x, span, high > 0),
        new Arguments()
            .matrix(x)
            .longs(x.rows(), x.columns())
            .ints(low, high, Math.toIntExact(span))
            .floats(done == bits ? scale : 1));
    while (done < bits) {
      int step = Math.min(bits - done, HIGH_BITS);
      transformAtDistance(x, done, 1 << step, done + step == bits ? scale : 1);
      done += step;
    }
  }

  private void transformWithBase(CudaMatrix x, HadamardMatrix h, float scale) {
    long span = Math.max(1, SPAN / h.size()) * h.size();
    kernels.launch(
        "quench_hadamard" + h.base() + "_f32",
        grid(x, span, true),
        new Arguments()
            .matrix(x)
            .longs(x.rows(), x.columns())
            .ints(h.log2(), Math.toIntExact(span))
            .floats(scale));
  }

  private static Grid grid(CudaMatrix x, long span, boolean staged) {
    long shared = staged ? Math.min(span, x.columns()) * Float.BYTES : 0;
    return Grid.of(Math.ceilDiv(x.columns(), span), Math.min(x.rows(), MAX_ROWS), THREADS)
        .withShared(Math.toIntExact(shared));
  }

  /** The factor of that order, which acts on numbers 2^low columns apart. */
  private void transformAtDistance(CudaMatrix x, int low, int order, float scale) {
    kernels.launch(
        "quench_hadamard_strided_f32",
        Grid.of(
            Math.ceilDiv(x.columns() / order, STRIDED_THREADS),
            Math.min(x.rows(), MAX_ROWS),
            STRIDED_THREADS),
        new Arguments().matrix(x).longs(x.rows(), x.columns()).ints(low, order).floats(scale));
  }
}
