package dev.quench.device;

/**
 * How a matrix is cut into tiles of nearly equal size, column tiles of one row band after each
 * other.
 */
record Tiles(long bands, long perBand, long height, long width) {
  /** Enough for 16 threads of uneven speed. */
  private static final long WANTED = 64;

  /** A product of this size is at full speed for any depth. */
  private static final long MIN_HEIGHT = 64;

  private static final long MIN_WIDTH = 192;

  private static final long MAX_HEIGHT = 512;
  private static final long MAX_WIDTH = 384;

  /** Multiples of the micro-tiles of AVX2 and AVX-512, so that only the last tile has a rest. */
  private static final long HEIGHT_STEP = 24;

  private static final long WIDTH_STEP = 48;

  /** Cuts an m × n matrix. */
  static Tiles of(long m, long n) {
    boolean small = m * n < WANTED * MAX_HEIGHT * MAX_WIDTH;
    long width = even(n, small ? MIN_WIDTH : MAX_WIDTH, WIDTH_STEP);
    long height =
        even(m, Math.clamp(m * n / (WANTED * width), MIN_HEIGHT, MAX_HEIGHT), HEIGHT_STEP);
    return new Tiles(Math.ceilDiv(m, height), Math.ceilDiv(n, width), height, width);
  }

  long count() {
    return bands * perBand;
  }

  long row(long index) {
    return index / perBand * height;
  }

  long column(long index) {
    return index % perBand * width;
  }

  /** The size of equal parts of at most about {@code wanted}, in whole steps. */
  static long even(long size, long wanted, long step) {
    long parts = Math.max(1, Math.ceilDiv(size, wanted));
    return Math.ceilDiv(Math.ceilDiv(size, parts), step) * step;
  }
}
