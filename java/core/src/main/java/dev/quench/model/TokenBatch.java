package dev.quench.model;

import dev.quench.device.Tensor;

/**
 * What the model knows of a batch while it goes through the layers: sequences one after the other,
 * without padding.
 *
 * @param hidden the residual stream, F32 [tokens, hidden]; the steps add to it
 * @param side what one step hands to the next, F32 [tokens, n]: attention's result, then the MLP's
 *     activations; wide enough for both
 * @param positions I32 [1, tokens]
 * @param starts first token of each sequence, then the number of tokens
 */
public record TokenBatch(Tensor hidden, Tensor side, Tensor positions, long[] starts) {
  public long tokens() {
    return hidden.rows();
  }
}
