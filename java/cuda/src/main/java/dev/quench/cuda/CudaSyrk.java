package dev.quench.cuda;

import dev.quench.device.Tensor;
import dev.quench.tensor.DType;

/**
 * {@code h += xᵀ·x} on tensor cores: {@code syrk.cu} and {@code syrk_sm90.cu} of {@code kernels/}.
 */
final class CudaSyrk {
  /** How the product is computed. */
  enum Variant {
    /** {@code mma.sync}, on every device. */
    MMA("quench_syrk_bf16", 128, 256, 65_536),
    /** {@code wgmma} on Hopper. */
    WGMMA_128("quench_syrk128_sm90_bf16", 128, 384, 197_760),
    /** The same on larger tiles, which need less of the shared memory's bandwidth. */
    WGMMA_256("quench_syrk256_sm90_bf16", 256, 384, 197_760);

    private final String kernel;
    private final int width;
    private final int threads;
    private final int sharedBytes;

    Variant(String kernel, int width, int threads, int sharedBytes) {
      this.kernel = kernel;
      this.width = width;
      this.threads = threads;
      this.sharedBytes = sharedBytes;
    }

    /** Tiles of 128 rows that touch the lower triangle. */
    long tiles(long n) {
      long bands = Math.ceilDiv(n, TILE);
      long ratio = width / TILE;
      // Band b has b / ratio + 1 of them; full is how many bands have the same number.
      long full = bands / ratio;
      return bands + ratio * full * (full - 1) / 2 + bands % ratio * full;
    }

    private Grid grid(long n) {
      long groups = Math.ceilDiv(n, TILE * GROUP);
      long step = GROUP * GROUP / (width / TILE);
      return Grid.of(step * groups * (groups + 1) / 2, threads).withShared(sharedBytes);
    }
  }

  private static final long TILE = 128;

  /** Bands of tiles that are handed out together. */
  private static final long GROUP = 8;

  /** Rows of a part are a multiple of this, so that a box never reaches into the next part. */
  private static final long BOX = 64;

  /** Elements that are copied at a time. */
  private static final long PIECE = 8;

  private static final long SPLIT_COLUMNS = 1024;
  private static final long MAX_GRID_ROWS = 65_535;

  /** Bounds the memory of the parts. */
  private static final long MAX_TOKENS = 8192;

  /** How much longer the narrow tiles take for the same number of products. */
  private static final double NARROW_COST = 1.15;

  private final Kernels kernels;
  private final CudaMemory memory;

  CudaSyrk(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
    this.memory = memory;
  }

  void syrk(Tensor x, Tensor h) {
    syrk(x, h, choose(CudaMatrix.of(x).columns()));
  }

  /** The variant that keeps the multiprocessors busiest. All give the same bytes on one device. */
  private Variant choose(long n) {
    if (!isAvailable(Variant.WGMMA_256)) {
      return Variant.MMA;
    }
    int processors = kernels.device().multiprocessors();
    double narrow = NARROW_COST * Math.ceilDiv(Variant.WGMMA_128.tiles(n), processors);
    double wide = 2.0 * Math.ceilDiv(Variant.WGMMA_256.tiles(n), processors);
    return narrow < wide ? Variant.WGMMA_128 : Variant.WGMMA_256;
  }

  boolean isAvailable(Variant variant) {
    return kernels.has(variant.kernel);
  }

  void syrk(Tensor x, Tensor h, Variant variant) {
    CudaMatrix input = CudaMatrix.of(x);
    if (input.dtype() != DType.BF16) {
      input.require(DType.F32);
    }
    long n = input.columns();
    CudaMatrix sum = CudaMatrix.of(h).require(DType.F32).require(n, n);
    if (n == 0) {
      return;
    }
    for (long token = 0; token < input.rows(); token += MAX_TOKENS) {
      long tokens = Math.min(MAX_TOKENS, input.rows() - token);
      try (CudaScope scratch = memory.openScope()) {
        multiply(parts(input.rows(token, tokens), scratch), tokens, sum, variant);
      }
    }
  }

  /**
   * x as sums of BF16 numbers, at addresses that are multiples of 16.
   *
   * @param matrix the parts, one below the other
   * @param rows of each
   * @param more address of an int32, the number of parts less one; 0 if there is one
   */
  private record Parts(CudaMatrix matrix, long rows, long more) {}

  private Parts parts(CudaMatrix x, CudaScope scratch) {
    if (x.dtype() == DType.BF16) {
      return TensorMap.fits(x)
          ? new Parts(x, x.rows(), 0)
          : split("quench_split_bf16", x, 1, x.rows(), 0, scratch);
    }
    long rows = Math.ceilDiv(x.rows(), BOX) * BOX;
    long more = scratch.zeros(DType.I32, 1, 1).address();
    return split("quench_split_f32", x, 3, rows, more, scratch);
  }

  private Parts split(
      String kernel, CudaMatrix x, long count, long rows, long more, CudaScope scratch) {
    long n = x.columns();
    CudaMatrix parts =
        scratch.allocate(DType.BF16, count * rows, Math.ceilDiv(n, PIECE) * PIECE).columns(0, n);
    kernels.launch(
        kernel,
        Grid.of(Math.ceilDiv(n, SPLIT_COLUMNS), Math.min(rows, MAX_GRID_ROWS), 256),
        new Arguments().matrix(x).matrix(parts).longs(rows).pointer(more).longs(x.rows(), n));
    return new Parts(parts, rows, more);
  }

  private void multiply(Parts parts, long tokens, CudaMatrix h, Variant variant) {
    long n = h.columns();
    Arguments arguments = new Arguments();
    if (variant == Variant.MMA) {
      arguments.matrix(parts.matrix).longs(parts.rows);
    } else {
      arguments
          .tensorMap(
              kernels.tensorMap(parts.matrix, (int) BOX, (int) BOX, TensorMap.Swizzle.BYTES_128))
          .ints(Math.toIntExact(parts.rows));
    }
    kernels.launch(
        variant.kernel, variant.grid(n), arguments.pointer(parts.more).longs(tokens, n).matrix(h));
  }
}
