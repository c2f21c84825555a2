package dev.quench.cuda.standin;

import java.math.BigDecimal;
import java.math.RoundingMode;

/**
 * A floating-point format of at most 16 bits, defined by the list of its numbers: rounding searches
 * the list.
 *
 * @param infinite whether the highest exponent means infinities and NaNs; else it has one NaN
 */
record ShortFloat(int exponentBits, int mantissaBits, boolean infinite) {
  static final ShortFloat F16 = new ShortFloat(5, 10, true);
  static final ShortFloat BF16 = new ShortFloat(8, 7, true);
  static final ShortFloat E4M3 = new ShortFloat(4, 3, false);
  static final ShortFloat E5M2 = new ShortFloat(5, 2, true);

  private int sign() {
    return 1 << exponentBits + mantissaBits;
  }

  private int infinity() {
    return (1 << exponentBits) - 1 << mantissaBits;
  }

  /** The NaN that conversions make. */
  int nan() {
    return sign() - 1;
  }

  private int largest() {
    return infinite ? infinity() - 1 : nan() - 1;
  }

  double value(long code) {
    int magnitude = (int) code & sign() - 1;
    double value;
    if (infinite ? magnitude > infinity() : magnitude == nan()) {
      value = Double.NaN;
    } else if (infinite && magnitude == infinity()) {
      value = Double.POSITIVE_INFINITY;
    } else {
      int exponent = magnitude >> mantissaBits;
      double fraction = (magnitude & (1 << mantissaBits) - 1) / (double) (1 << mantissaBits);
      int bias = (1 << exponentBits - 1) - 1;
      value =
          exponent == 0
              ? Math.scalb(fraction, 1 - bias)
              : Math.scalb(1 + fraction, exponent - bias);
    }
    return (code & sign()) == 0 ? value : -value;
  }

  /** Rounds a double. */
  long round(double value, RoundingMode mode, boolean saturates) {
    if (Double.isNaN(value)) {
      return nan();
    }
    int sign = Math.copySign(1, value) < 0 ? sign() : 0;
    if (Double.isInfinite(value)) {
      return sign | (saturates ? largest() : infinite ? infinity() : nan());
    }
    return round(new BigDecimal(value), sign != 0, mode, saturates);
  }

  /**
   * Rounds an exact number.
   *
   * @param negative the sign, which a zero has too
   * @param mode HALF_EVEN, DOWN, FLOOR or CEILING
   */
  long round(BigDecimal exact, boolean negative, RoundingMode mode, boolean saturates) {
    int sign = negative ? sign() : 0;
    BigDecimal magnitude = exact.abs();
    int below = lastNotAbove(magnitude);
    BigDecimal low = new BigDecimal(value(below));
    if (low.compareTo(magnitude) == 0) {
      return sign | below;
    }
    BigDecimal high = below == largest() ? beyond() : new BigDecimal(value(below + 1));
    int half = magnitude.subtract(low).compareTo(high.subtract(magnitude));
    boolean up =
        switch (mode) {
          case HALF_EVEN -> half > 0 || half == 0 && (below & 1) != 0;
          case FLOOR -> negative;
          case CEILING -> !negative;
          default -> false;
        };
    if (below == largest() && up) {
      return sign | (saturates ? largest() : infinite ? infinity() : nan());
    }
    return sign | (up ? below + 1 : below);
  }

  /** The number that would follow the largest. */
  private BigDecimal beyond() {
    double step = value(largest()) - value(largest() - 1);
    return new BigDecimal(value(largest()) + step);
  }

  private int lastNotAbove(BigDecimal magnitude) {
    int low = 0;
    int high = largest();
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      if (new BigDecimal(value(middle)).compareTo(magnitude) <= 0) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }
}
