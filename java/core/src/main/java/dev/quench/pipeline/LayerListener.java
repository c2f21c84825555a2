package dev.quench.pipeline;

/** Hears of the progress of a forward pass. */
@FunctionalInterface
public interface LayerListener {
  /**
   * @param index from 0
   */
  void layerDone(int index, int total);
}
