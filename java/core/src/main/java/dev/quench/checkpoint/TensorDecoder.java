package dev.quench.checkpoint;

import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;

/** Computes a tensor that a checkpoint doesn't hold as it is. Thread-safe. */
@FunctionalInterface
public interface TensorDecoder {
  /** The tensor, in memory that is valid until {@code arena} is closed. */
  HostTensor decode(Arena arena);
}
