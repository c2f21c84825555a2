package dev.quench.modifier;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;

/** What is known of a weight's values before it is rounded. */
public final class WeightRange {
  private WeightRange() {}

  /** The largest magnitude of a weight's elements; NaN if one is. Waits for it. */
  public static float magnitude(Device device, Tensor weight) {
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      Tensor min = scope.allocate(weight.dtype(), 1, 1);
      Tensor max = scope.allocate(weight.dtype(), 1, 1);
      device.observe(weight, weight.rows(), weight.columns(), min, max);
      return Math.max(Math.abs(value(device, min, arena)), Math.abs(value(device, max, arena)));
    }
  }

  private static float value(Device device, Tensor scalar, Arena arena) {
    HostTensor host =
        new HostTensor(
            scalar.dtype(), Shape.of(1, 1), arena.allocate(scalar.dtype().bytes(1), Float.BYTES));
    device.download(scalar, host);
    return host.floatAt(0);
  }
}
