package dev.quench.device;

/** The smallest and largest of some elements and 0; both NaN if one of them is NaN. */
record Range(float min, float max) {
  static final Range ZERO = new Range(0, 0);

  /** The range of both. */
  Range and(Range other) {
    return new Range(Math.min(min, other.min), Math.max(max, other.max));
  }
}
