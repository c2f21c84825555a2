package dev.quench.device;

/** The lower triangle of a square matrix, cut into square tiles; the larger work comes first. */
record LowerTiles(long n, long size) {
  /** Below that, products run slower; above, few threads find work. */
  private static final long MIN_SIZE = 96;

  private static final long MAX_SIZE = 384;
  private static final long WANTED_BANDS = 8;

  /** A multiple of the micro-tiles. */
  private static final long STEP = 48;

  /**
   * One tile: rows {@code row …}, columns {@code column …}. One at the diagonal ends there in each
   * row, and begins a tile further left where there is one: a wide product is faster than a narrow
   * one.
   */
  record Tile(long row, long rows, long column, long columns) {
    boolean reachesDiagonal() {
      return column + columns == row + rows;
    }
  }

  /** Cuts an n × n matrix. */
  static LowerTiles of(long n) {
    return new LowerTiles(n, Tiles.even(n, Math.clamp(n / WANTED_BANDS, MIN_SIZE, MAX_SIZE), STEP));
  }

  long count() {
    long bands = bands();
    return bands + (bands - 1) * (bands - 2) / 2;
  }

  /** Tile number {@code index}: those at the diagonal first, then the others row by row. */
  Tile tile(long index) {
    long bands = bands();
    if (index < bands) {
      long row = (bands - 1 - index) * size;
      long column = Math.max(0, row - size);
      return new Tile(row, length(row), column, row + length(row) - column);
    }
    // Band b has b − 1 of them, which follow the (b − 1)(b − 2)/2 of the bands before.
    long other = index - bands;
    long before = (long) ((1 + Math.sqrt(1 + 8.0 * other)) / 2);
    long column = other - before * (before - 1) / 2;
    long row = (before + 1) * size;
    return new Tile(row, length(row), column * size, size);
  }

  private long bands() {
    return Math.ceilDiv(n, size);
  }

  private long length(long start) {
    return Math.min(size, n - start);
  }
}
