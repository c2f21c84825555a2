package dev.quench.checkpoint;

import dev.quench.InvalidInputException;
import dev.quench.tensor.DType;
import dev.quench.tensor.Shape;

/** A tensor that is to be written. */
public record OutputTensor(String name, DType dtype, Shape shape) {
  /** Its length in bytes. */
  public long bytes() {
    return dtype.bytes(shape.elements());
  }

  /** Whether what is stored under this name is such a tensor. */
  public boolean is(DType storedDtype, Shape storedShape) {
    return storedDtype == dtype && storedShape.equals(shape);
  }

  /**
   * Refuses something else than what a quantization_config promises.
   *
   * @param what is stored, for the message
   * @throws InvalidInputException if it isn't such a tensor
   */
  public void require(String what, DType storedDtype, Shape storedShape) {
    if (!is(storedDtype, storedShape)) {
      throw new InvalidInputException(
          "%s is %s %s, but its quantization_config makes it %s %s."
              .formatted(what, storedDtype, storedShape, dtype, shape));
    }
  }
}
