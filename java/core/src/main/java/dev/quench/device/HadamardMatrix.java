package dev.quench.device;

/**
 * A symmetric Hadamard matrix: its elements are ±1, and {@code H·H = n·I}, so that {@code H/√n} is
 * its own inverse.
 *
 * <p>{@code H = P ⊗ S}, where S is Sylvester's matrix of order 2^k and P, the {@link #base}, is
 * Paley's second construction (Paley 1933), which has order 2(q + 1) for a prime power q that
 * leaves the remainder 1 when divided by 4. The orders 12, 20, 28 and 36, with q = 5, 9, 13 and 17,
 * reach every size {@code 2^k·m} with k ≥ 2 and m one of 3, 5, 7, 9; a power of two needs no base.
 */
public final class HadamardMatrix {
  private static final HadamardMatrix TRIVIAL = new HadamardMatrix(new int[][] {{1}}, 0);

  private final int[][] base;
  private final int log2;

  private HadamardMatrix(int[][] base, int log2) {
    this.base = base;
    this.log2 = log2;
  }

  /** Whether there is a matrix of that size. */
  public static boolean exists(long size) {
    return size > 0
        && (Long.bitCount(size) == 1
            || (Long.numberOfTrailingZeros(size) >= 2
                && paleyOrder(size) <= 36
                && paleyOrder(size) >= 12));
  }

  /** Four times the odd part of a size. */
  private static long paleyOrder(long size) {
    return 4 * (size >> Long.numberOfTrailingZeros(size));
  }

  /**
   * @throws IllegalArgumentException if there is no matrix of that size
   */
  public static HadamardMatrix of(long size) {
    if (!exists(size)) {
      throw new IllegalArgumentException(
          "no Hadamard matrix of order %d: it has to be 2^k or 2^k·m with k ≥ 2 and m one of 3, 5, 7, 9"
              .formatted(size));
    }
    int twos = Long.numberOfTrailingZeros(size);
    return Long.bitCount(size) == 1
        ? new HadamardMatrix(TRIVIAL.base, twos)
        : new HadamardMatrix(paley((int) paleyOrder(size)), twos - 2);
  }

  /** Order n of the matrix. */
  public long size() {
    return (long) base.length << log2;
  }

  /** Order of P; 1 if the size is a power of two. */
  public int base() {
    return base.length;
  }

  /** k, where 2^k is the order of S. */
  public int log2() {
    return log2;
  }

  /** Element (row, column) of P: 1 or −1. */
  public int baseSign(int row, int column) {
    return base[row][column];
  }

  /** Element (row, column) of H: 1 or −1. */
  public int sign(long row, long column) {
    long within = (1L << log2) - 1;
    boolean negative = Long.bitCount(row & column & within) % 2 == 1;
    int sign = base[(int) (row >> log2)][(int) (column >> log2)];
    return negative ? -sign : sign;
  }

  /**
   * {@code C ⊗ [[1, 1], [1, −1]] + I ⊗ [[1, −1], [−1, −1]]}, where C is the symmetric conference
   * matrix of order q + 1: 0 on the diagonal, 1 in the rest of the first row and column, and
   * elsewhere whether the difference of two elements of the field is a square.
   */
  private static int[][] paley(int order) {
    int q = order / 2 - 1;
    boolean[] square = squares(q);
    int[][] h = new int[order][order];
    for (int i = 0; i <= q; i++) {
      for (int j = 0; j <= q; j++) {
        int c = i == 0 || j == 0 ? 1 : square[difference(i - 1, j - 1, q)] ? 1 : -1;
        boolean diagonal = i == j;
        h[2 * i][2 * j] = diagonal ? 1 : c;
        h[2 * i][2 * j + 1] = diagonal ? -1 : c;
        h[2 * i + 1][2 * j] = diagonal ? -1 : c;
        h[2 * i + 1][2 * j + 1] = diagonal ? -1 : -c;
      }
    }
    return h;
  }

  /** Which elements of the field with q elements are squares of others than 0. */
  private static boolean[] squares(int q) {
    boolean[] square = new boolean[q];
    for (int x = 1; x < q; x++) {
      square[product(x, x, q)] = true;
    }
    return square;
  }

  /**
   * The field is that of the integers modulo q, but with 9 elements: there a + 3·b stands for a +
   * b·i, integers modulo 3 with i² = −1.
   */
  private static int product(int x, int y, int q) {
    if (q != 9) {
      return x * y % q;
    }
    int real = x % 3 * (y % 3) - x / 3 * (y / 3);
    int imaginary = x % 3 * (y / 3) + x / 3 * (y % 3);
    return Math.floorMod(real, 3) + 3 * Math.floorMod(imaginary, 3);
  }

  private static int difference(int x, int y, int q) {
    return q == 9
        ? Math.floorMod(x % 3 - y % 3, 3) + 3 * Math.floorMod(x / 3 - y / 3, 3)
        : Math.floorMod(x - y, q);
  }
}
