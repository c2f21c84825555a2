package dev.quench.cuda;

/**
 * How many blocks of how many threads a kernel is launched with. A grid without blocks is allowed
 * and launches nothing, so that empty operands need no special case.
 *
 * @param threads of a block, in one dimension
 * @param sharedBytes dynamic shared memory of a block
 */
record Grid(int x, int y, int z, int threads, int sharedBytes) {
  /** The largest extents in y and in z of every device. */
  private static final int MAX_YZ = 65_535;

  public Grid {
    if (x < 0 || y < 0 || z < 0 || y > MAX_YZ || z > MAX_YZ) {
      throw new IllegalArgumentException("a grid of " + x + " × " + y + " × " + z + " blocks");
    }
    if (threads <= 0 || threads > 1024) {
      throw new IllegalArgumentException(threads + " threads in a block");
    }
    if (sharedBytes < 0) {
      throw new IllegalArgumentException(sharedBytes + " bytes of shared memory");
    }
  }

  public static Grid of(long blocks, int threads) {
    return of(blocks, 1, 1, threads);
  }

  public static Grid of(long x, long y, int threads) {
    return of(x, y, 1, threads);
  }

  public static Grid of(long x, long y, long z, int threads) {
    return new Grid(Math.toIntExact(x), Math.toIntExact(y), Math.toIntExact(z), threads, 0);
  }

  /** As many blocks as it takes when each does {@code perBlock} of the elements. */
  public static Grid over(long elements, long perBlock, int threads) {
    return of(Math.ceilDiv(elements, perBlock), threads);
  }

  public Grid withShared(int bytes) {
    return new Grid(x, y, z, threads, bytes);
  }

  boolean isEmpty() {
    return x == 0 || y == 0 || z == 0;
  }

  @Override
  public String toString() {
    return "<<<(%d, %d, %d), %d threads, %d bytes shared>>>"
        .formatted(x, y, z, threads, sharedBytes);
  }
}
