package dev.quench.format;

import dev.quench.InvalidInputException;
import dev.quench.tensor.HostTensor;

/**
 * Finds NaN and infinity in weights. A scale is the largest magnitude of its weights, so one that
 * isn't finite gives them away without a pass over the weights.
 */
final class FiniteCheck {
  private FiniteCheck() {}

  /**
   * @param scale of the compressed weight
   * @param original [rows, columns] as in the checkpoint; read only if a scale isn't finite
   * @throws InvalidInputException naming the weight, and the row and column of its first bad value
   */
  static void requireFinite(HostTensor scale, HostTensor original, WeightLayout layout) {
    if (firstNotFinite(scale) < 0) {
      return;
    }
    String name = layout.module() + ".weight";
    long at = firstNotFinite(original);
    if (at < 0) {
      throw new InvalidInputException(
          "%s: its values are too large for a scale of %s; add %s to the recipe's ignore list."
              .formatted(name, scale.dtype(), layout.module()));
    }
    throw new InvalidInputException(
        "%s holds %s at row %d, column %d, so it can't be compressed; is the checkpoint damaged? Download it again, or add %s to the recipe's ignore list."
            .formatted(
                name,
                original.floatAt(at),
                at / layout.columns(),
                at % layout.columns(),
                layout.module()));
  }

  /** Position of the first NaN or infinity; -1 if there is none. */
  private static long firstNotFinite(HostTensor tensor) {
    long elements = tensor.shape().elements();
    for (long i = 0; i < elements; i++) {
      if (!Float.isFinite(tensor.floatAt(i))) {
        return i;
      }
    }
    return -1;
  }
}
