package dev.quench.cuda;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import java.util.OptionalInt;

/**
 * A matrix cut into blocks that share a scale, and how kernels deal them out. The lengths are those
 * of kernels/tiles.cuh.
 *
 * @param blockRows at most rows
 * @param blockColumns of a block that isn't cut; may be more than columns
 */
record ScaleBlocks(long rows, int columns, int blockRows, int blockColumns) {
  /** Elements that a thread handles at once. */
  private static final int RUN = 8;

  /** Runs that a thread has in hand. */
  private static final int RUNS = 4;

  /** Threads that have registers for the runs of a tile: of 16 bits an element, of 32 bits. */
  private static final int MAX_THREADS = 1024;

  private static final int MAX_THREADS_F32 = 512;

  /** Columns that a warp takes at a time. */
  private static final int CHUNK = 32 * RUNS * RUN;

  /** Threads of a block of eight warps. */
  private static final int WARP_THREADS = 256;

  private static final int WARPS_LOG = 3;

  /** Columns are counted in int, some of them beyond the end. */
  private static final int MAX_COLUMNS = 1 << 30;

  /** Elements that keep a block of threads busy for a while. */
  private static final long PIECE = 1 << 16;

  /** Blocks of threads that occupy any device. */
  private static final long ENOUGH_BLOCKS = 1024;

  private static final int MAX_PIECES = 1024;

  /**
   * Blocks of threads side by side; further columns are done by the same ones, one after another.
   */
  private static final int MAX_ABREAST = 16;

  static ScaleBlocks of(CudaMatrix x, long blockRows, long blockColumns) {
    if (x.columns() > MAX_COLUMNS || x.rows() > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(x + " has more than 2^30 columns or 2^31 rows");
    }
    return new ScaleBlocks(
        x.rows(),
        (int) x.columns(),
        (int) Math.min(blockRows, Math.max(x.rows(), 1)),
        (int) Math.min(blockColumns, MAX_COLUMNS));
  }

  static ScaleBlocks of(CudaMatrix x, QuantizationArgs args) {
    return of(x, args.blockRows(x.rows()), args.blockColumns(x.columns()));
  }

  /** Rows alone, whatever their elements share. */
  static ScaleBlocks rowsOf(CudaMatrix x) {
    return of(x, 1, Math.max(x.columns(), 1));
  }

  long gridRows() {
    return Math.ceilDiv(rows, blockRows);
  }

  int gridColumns() {
    return Math.ceilDiv(columns, blockColumns);
  }

  /** The parameters of these blocks, which must be a matrix of that shape. */
  CudaMatrix require(CudaMatrix parameters) {
    return parameters.require(gridRows(), gridColumns());
  }

  /** Binary logarithm of the warps that lie side by side in a row. */
  int warpsLog() {
    int chunks = Math.ceilDiv(columns, CHUNK);
    return Math.min(WARPS_LOG, 32 - Integer.numberOfLeadingZeros(Math.max(chunks, 1) - 1));
  }

  /** Warps for each chunk of each row: the grid of kernels whose contract is WarpPlace. */
  Grid warps() {
    int chunks = Math.ceilDiv(columns, CHUNK);
    long y = Math.min(Math.ceilDiv(chunks, 1 << warpsLog()), MAX_ABREAST);
    return Grid.of(Math.ceilDiv(rows, 1L << (WARPS_LOG - warpsLog())), y, WARP_THREADS);
  }

  /**
   * Binary logarithm of the lanes that a group is dealt to, if blocks are groups of 32, 64, … 1024
   * columns of one row.
   */
  OptionalInt groupLanesLog() {
    boolean fits = blockRows == 1 && blockColumns >= RUNS * RUN && blockColumns <= CHUNK;
    return fits && Integer.bitCount(blockColumns) == 1
        ? OptionalInt.of(Integer.numberOfTrailingZeros(blockColumns / (RUNS * RUN)))
        : OptionalInt.empty();
  }

  /**
   * Binary logarithm of the columns of a block, if they are such that all elements that a lane has
   * in hand share a scale; 31 if a block is as wide as the matrix.
   */
  OptionalInt blockShift() {
    if (blockColumns >= columns) {
      return OptionalInt.of(31);
    }
    return blockColumns >= RUNS * RUN && Integer.bitCount(blockColumns) == 1
        ? OptionalInt.of(Integer.numberOfTrailingZeros(blockColumns))
        : OptionalInt.empty();
  }

  /** Binary logarithm of the lanes that the elements of {@link #blockShift} are dealt to. */
  static int lanesLog(int blockShift) {
    return Math.min(blockShift - Integer.numberOfTrailingZeros(RUNS * RUN), 5);
  }

  /**
   * True if a block of threads can hold a block of elements, and share no run with the next one.
   */
  boolean fitsTile(DType dtype) {
    int threads = dtype == DType.F32 ? MAX_THREADS_F32 : MAX_THREADS;
    return (blockColumns >= columns || blockColumns % RUN == 0)
        && runs(blockRows) <= (long) threads * RUNS;
  }

  /** A block of threads for each block of elements, which they hold. */
  Grid tiles() {
    return tiles(1, (int) Math.ceilDiv(runs(blockRows), RUNS), MAX_THREADS);
  }

  /** How many rows are a piece that a block of threads reads on its own. */
  int pieceRows() {
    long tile = (long) blockRows * Math.min(blockColumns, columns);
    if (gridRows() * gridColumns() >= ENOUGH_BLOCKS || tile <= PIECE) {
      return blockRows;
    }
    long pieces = Math.min(Math.min(tile / PIECE, blockRows), MAX_PIECES);
    return (int) Math.ceilDiv(blockRows, pieces);
  }

  int pieces() {
    return Math.ceilDiv(blockRows, pieceRows());
  }

  /** A block of threads for each piece of each block of elements. */
  Grid pieceTiles() {
    return tiles(pieces(), (int) Math.min(runs(pieceRows()) / RUNS + 1, 256), 256);
  }

  private Grid tiles(int pieces, int threads, int most) {
    int wholeWarps = Math.clamp(Math.ceilDiv(threads, 32) * 32L, 32, most);
    return Grid.of(gridRows(), Math.min(gridColumns(), MAX_ABREAST), pieces, wholeWarps);
  }

  /** Runs of some rows of a block. */
  private long runs(int ofRows) {
    return (long) ofRows * Math.ceilDiv(Math.min(blockColumns, columns), RUN);
  }
}
