package dev.quench.checkpoint;

import dev.quench.tensor.DType;
import dev.quench.tensor.Shape;

/** A tensor that is to be written. */
public record OutputTensor(String name, DType dtype, Shape shape) {
  /** Its length in bytes. */
  public long bytes() {
    return dtype.bytes(shape.elements());
  }
}
