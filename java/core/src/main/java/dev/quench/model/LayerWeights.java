package dev.quench.model;

import dev.quench.device.Tensor;
import java.util.Map;

/**
 * The weights of one decoder layer on a device, F32, by their names in the checkpoint.
 *
 * @param tensors linear weights [out, in]; biases and norm weights [1, n]
 */
public record LayerWeights(Map<String, Tensor> tensors) {
  public LayerWeights {
    tensors = Map.copyOf(tensors);
  }

  /**
   * @throws IllegalArgumentException if the layer has no tensor of that name
   */
  public Tensor get(String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("no tensor " + name + " among " + tensors.keySet());
    }
    return tensor;
  }
}
