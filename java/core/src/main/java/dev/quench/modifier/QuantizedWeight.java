package dev.quench.modifier;

import dev.quench.device.Device;
import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;

/**
 * A compressed weight on a device.
 *
 * @param codes [out, in], one code an element, or packed
 * @param scale in the dtype of the original weight, or as {@link QuantizationArgs#scaleFormat}
 *     says; the shape of the blocks that share one
 * @param zeroPoint I8, the shape of {@code scale}; all zero if symmetric
 * @param globalScale that scales are to be divided by; 1 if the scheme has none
 */
public record QuantizedWeight(
    QuantizationArgs args, Tensor codes, Tensor scale, Tensor zeroPoint, float globalScale) {

  /**
   * The values that it stands for; codes must be one an element.
   *
   * @param target [out, in], as {@link Device#dequantize} has it
   */
  public void dequantize(Device device, Tensor target) {
    device.dequantize(codes, scale, zeroPoint, args, globalScale, target);
  }
}
