package dev.quench.checkpoint;

import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;

/** Gives tensors by name. */
@FunctionalInterface
public interface TensorReader {
  /**
   * The tensor, mapped into memory until {@code arena} is closed.
   *
   * @throws dev.quench.InvalidInputException if there is none of that name
   */
  HostTensor read(String name, Arena arena);
}
