package dev.quench.device;

/** The lower triangle of a square matrix, cut into square tiles; the larger work comes first. */
record LowerTiles(long n, long size) {
  /** Below that, products run slower; above, few threads find work. */
  private static final long MIN_SIZE = 144;

  private static final long MAX_SIZE = 384;
  private static final long WANTED_BANDS = 8;

  /** A multiple of the micro-tiles. */
  private static final long STEP = 48;

  /** One tile: rows {@code row …}, columns {@code column …}; one on the diagonal is a triangle. */
  record Tile(long row, long rows, long column, long columns) {
    boolean onDiagonal() {
      return row == column;
    }
  }

  /** Cuts an n × n matrix. */
  static LowerTiles of(long n) {
    return new LowerTiles(n, Tiles.even(n, Math.clamp(n / WANTED_BANDS, MIN_SIZE, MAX_SIZE), STEP));
  }

  long count() {
    long bands = bands();
    return bands * (bands + 1) / 2;
  }

  /** Tile number {@code index}: those below the diagonal, row by row, then those on it. */
  Tile tile(long index) {
    long below = count() - bands();
    if (index >= below) {
      long start = (index - below) * size;
      return new Tile(start, length(start), start, length(start));
    }
    // Band b has b of them, which follow the b(b − 1)/2 of the bands before.
    long band = (long) ((1 + Math.sqrt(1 + 8.0 * index)) / 2);
    long column = index - band * (band - 1) / 2;
    return new Tile(band * size, length(band * size), column * size, size);
  }

  private long bands() {
    return Math.ceilDiv(n, size);
  }

  private long length(long start) {
    return Math.min(size, n - start);
  }
}
