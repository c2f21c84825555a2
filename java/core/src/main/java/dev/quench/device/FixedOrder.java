package dev.quench.device;

/**
 * Sums in the order of the elements. {@code FloatVector.reduceLanes(ADD)} leaves the order open,
 * and takes one when it is interpreted and another when it is compiled, so that the same run
 * wouldn't give the same bytes twice.
 */
final class FixedOrder {
  private FixedOrder() {}

  static float sum(float[] lanes) {
    float sum = 0;
    for (float lane : lanes) {
      sum += lane;
    }
    return sum;
  }
}
