package dev.quench.format;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.tensor.DType;
import java.lang.foreign.Arena;
import java.util.List;

/** How a checkpoint holds one quantized weight, and how to get it back. */
public interface StoredForm {
  /** Names of the tensors that it consists of, the codes first. */
  List<String> parts();

  /** Out features. */
  long rows();

  /** In features. */
  long columns();

  /** What the weight is dequantized to: what it was, as far as the checkpoint says. */
  DType dtype();

  /**
   * The weight on a device that works in host memory, with one code an element.
   *
   * @param scope that what was read, in {@code arena}, and the result are used in
   */
  QuantizedWeight decode(Device device, Scope scope, Arena arena);
}
