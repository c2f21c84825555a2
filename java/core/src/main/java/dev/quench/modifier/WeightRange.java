package dev.quench.modifier;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.RangeSearch;
import dev.quench.quantization.WeightObserver;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.util.Optional;

/**
 * The ranges that a weight's scales are made for, as its observer finds them.
 *
 * @param min the smallest of each block of elements that share a scale, in the weight's dtype
 * @param max the largest
 */
public record WeightRange(Tensor min, Tensor max) {

  /**
   * @param weight as in the checkpoint
   * @param importance F32 [1, in] of the input channels, for observers that weigh errors by it
   * @param scope owns the ranges
   */
  public static WeightRange of(
      Device device,
      Tensor weight,
      QuantizationArgs args,
      Optional<Tensor> importance,
      Scope scope) {
    long blockRows = args.blockRows(weight.rows());
    long blockColumns = args.blockColumns(weight.columns());
    long rows = Math.ceilDiv(weight.rows(), blockRows);
    long columns = Math.ceilDiv(weight.columns(), blockColumns);
    Tensor min = scope.allocate(weight.dtype(), rows, columns);
    Tensor max = scope.allocate(weight.dtype(), rows, columns);
    Optional<RangeSearch> search = WeightObserver.search(args);
    if (WeightObserver.weighs(args)) {
      device.searchWeighedRange(
          weight, importance.orElseThrow(), args, search.orElseThrow(), min, max);
    } else if (search.isPresent()) {
      device.searchRange(weight, args, search.get(), min, max);
    } else {
      device.observe(weight, blockRows, blockColumns, min, max);
    }
    return new WeightRange(min, max);
  }

  /** The largest magnitude of all ranges; NaN if one is. Waits for it. */
  public float magnitude(Device device) {
    return Math.max(magnitude(device, min), magnitude(device, max));
  }

  private static float magnitude(Device device, Tensor ends) {
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      Tensor smallest = scope.allocate(ends.dtype(), 1, 1);
      Tensor largest = scope.allocate(ends.dtype(), 1, 1);
      device.observe(ends, ends.rows(), ends.columns(), smallest, largest);
      return Math.max(
          Math.abs(value(device, smallest, arena)), Math.abs(value(device, largest, arena)));
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
