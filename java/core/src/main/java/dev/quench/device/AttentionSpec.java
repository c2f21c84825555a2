package dev.quench.device;

/**
 * Sizes and constants of an attention operation.
 *
 * @param scale factor of the scores, usually 1/√headDim
 */
public record AttentionSpec(int heads, int keyHeads, int headDim, float scale) {
  public AttentionSpec {
    if (heads <= 0 || keyHeads <= 0 || headDim <= 0 || heads % keyHeads != 0) {
      throw new IllegalArgumentException(
          heads + " heads over " + keyHeads + " key heads of " + headDim);
    }
  }
}
