package dev.quench.modifier;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.WeightObserver;
import dev.quench.tensor.DType;
import java.util.Optional;

/**
 * Round to nearest: every weight becomes the code closest to it, in the dtype that the checkpoint
 * has it in.
 */
public final class Rtn {
  private Rtn() {}

  /**
   * @param weight F32, BF16 or F16 [out, in], as in the checkpoint
   * @param globalScale as {@link QuantizedWeight} has it
   * @param importance of the input channels, as {@link WeightRange#of} has it
   */
  public static QuantizedWeight solve(
      Device device,
      Tensor weight,
      QuantizationArgs args,
      float globalScale,
      Optional<Tensor> importance,
      Scope scope) {
    return solve(device, weight, importance, allocate(weight, args, globalScale, scope));
  }

  /** The same without data, with the codes packed at once. */
  public static QuantizedWeight solvePacked(
      Device device, Tensor weight, QuantizationArgs args, float globalScale, Scope scope) {
    DType packed = args.codeFormat().packedDtype().orElseThrow();
    long elements = Math.ceilDiv(weight.columns() * args.numBits(), packed.bits());
    Tensor codes = scope.allocate(packed, weight.rows(), elements);
    return solve(
        device, weight, Optional.empty(), allocate(weight, args, globalScale, codes, scope));
  }

  private static QuantizedWeight solve(
      Device device, Tensor weight, Optional<Tensor> importance, QuantizedWeight result) {
    QuantizationArgs args = result.args();
    float globalScale = result.globalScale();
    Tensor scale = result.scale();
    Tensor zeroPoint = result.zeroPoint();
    if (WeightObserver.search(args).isEmpty()) {
      device.quantizeToNearest(weight, args, globalScale, scale, zeroPoint, result.codes());
      return result;
    }
    try (Scope work = device.openScope()) {
      WeightRange range = WeightRange.of(device, weight, args, importance, work);
      device.quantizationParameters(range.min(), range.max(), args, globalScale, scale, zeroPoint);
    }
    device.quantize(weight, scale, zeroPoint, args, globalScale, result.codes());
    return result;
  }

  /** Tensors of the right shapes, of unspecified content; one code an element. */
  static QuantizedWeight allocate(
      Tensor weight, QuantizationArgs args, float globalScale, Scope scope) {
    DType code = args.codeFormat().dtype();
    Tensor codes = scope.allocate(code, weight.rows(), weight.columns());
    return allocate(weight, args, globalScale, codes, scope);
  }

  private static QuantizedWeight allocate(
      Tensor weight, QuantizationArgs args, float globalScale, Tensor codes, Scope scope) {
    long blockRows = Math.ceilDiv(weight.rows(), args.blockRows(weight.rows()));
    long blockColumns = Math.ceilDiv(weight.columns(), args.blockColumns(weight.columns()));
    return new QuantizedWeight(
        args,
        codes,
        scope.allocate(args.scaleFormat().dtype(weight.dtype()), blockRows, blockColumns),
        scope.allocate(DType.I8, blockRows, blockColumns),
        globalScale);
  }
}
