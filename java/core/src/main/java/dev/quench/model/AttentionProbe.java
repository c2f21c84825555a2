package dev.quench.model;

import dev.quench.device.Tensor;

/** Sees what attention works on, while a layer runs. */
@FunctionalInterface
public interface AttentionProbe {
  /** Looks at nothing. */
  AttentionProbe NONE = (module, queries, keys, values, starts) -> {};

  /**
   * @param module name of the attention module, such as {@code model.layers.0.self_attn}
   * @param queries F32 [tokens, heads · headDim], with rotary positions
   * @param keys F32 [tokens, keyHeads · headDim], with rotary positions
   * @param values F32 [tokens, keyHeads · headDim]
   * @param starts first token of each sequence, then the number of tokens
   */
  void observe(String module, Tensor queries, Tensor keys, Tensor values, long[] starts);
}
