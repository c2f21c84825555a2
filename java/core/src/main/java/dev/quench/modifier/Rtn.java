package dev.quench.modifier;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.BitPacking;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;

/**
 * Round to nearest: every weight becomes the code closest to it, in the dtype that the checkpoint
 * has it in.
 */
public final class Rtn {
  private Rtn() {}

  /**
   * @param weight F32, BF16 or F16 [out, in], as in the checkpoint
   */
  public static QuantizedWeight solve(
      Device device, Tensor weight, QuantizationArgs args, Scope scope) {
    QuantizedWeight result = allocate(weight, args, scope);
    device.quantizeToNearest(weight, args, result.scale(), result.zeroPoint(), result.codes());
    return result;
  }

  /** The same, with the codes packed at once: I32 [out, ⌈in·bits/32⌉]. */
  public static QuantizedWeight solvePacked(
      Device device, Tensor weight, QuantizationArgs args, Scope scope) {
    long words = BitPacking.words(weight.columns(), args.numBits());
    QuantizedWeight result =
        allocate(weight, args, scope.allocate(DType.I32, weight.rows(), words), scope);
    device.quantizeToNearest(weight, args, result.scale(), result.zeroPoint(), result.codes());
    return result;
  }

  /** Tensors of the right shapes, of unspecified content; one code an element. */
  static QuantizedWeight allocate(Tensor weight, QuantizationArgs args, Scope scope) {
    DType code = args.type() == QuantizationArgs.Type.FLOAT ? DType.F8_E4M3 : DType.I8;
    return allocate(weight, args, scope.allocate(code, weight.rows(), weight.columns()), scope);
  }

  private static QuantizedWeight allocate(
      Tensor weight, QuantizationArgs args, Tensor codes, Scope scope) {
    long blockRows = Math.ceilDiv(weight.rows(), args.blockRows(weight.rows()));
    long blockColumns = Math.ceilDiv(weight.columns(), args.blockColumns(weight.columns()));
    return new QuantizedWeight(
        args,
        codes,
        scope.allocate(weight.dtype(), blockRows, blockColumns),
        scope.allocate(DType.I8, blockRows, blockColumns));
  }
}
