package dev.quench.format;

import dev.quench.tensor.HostTensor;

/** Takes finished tensors of an output checkpoint, in any order. */
@FunctionalInterface
public interface TensorSink {
  /** The data is only valid during the call. */
  void accept(String name, HostTensor tensor);
}
