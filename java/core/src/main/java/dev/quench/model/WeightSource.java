package dev.quench.model;

import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import java.util.List;

/**
 * Where a model's weights come from: a checkpoint as it is, or a compressed one that is dequantized
 * on load.
 */
public interface WeightSource {
  /**
   * A tensor of the model, as F32 on the device of {@code scope}.
   *
   * @param name as in an uncompressed checkpoint, such as {@code
   *     model.layers.0.self_attn.q_proj.weight}
   * @param rows 1 for vectors
   * @throws dev.quench.InvalidInputException if it is missing or has another shape
   */
  Tensor load(String name, long rows, long columns, Scope scope);

  /**
   * Starts bringing tensors to the device, so that they are there when {@link #load} wants them.
   * Does nothing where there is nothing to gain. Names that aren't loaded afterwards keep their
   * memory.
   */
  void prefetch(List<String> names);

  /**
   * Some rows of a matrix of the model, cast to F32, without loading the rest: {@code target[i, :]
   * = tensor[index[i], :]}.
   *
   * @param target F32 [index.length, columns]
   */
  void gatherRows(String name, long rows, long columns, int[] index, Tensor target);
}
