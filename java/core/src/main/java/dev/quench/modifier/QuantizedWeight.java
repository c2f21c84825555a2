package dev.quench.modifier;

import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;

/**
 * A compressed weight on a device.
 *
 * @param codes I8 or F8_E4M3 [out, in], one code an element
 * @param scale in the dtype of the original weight; the shape of the blocks that share one
 * @param zeroPoint I8, the shape of {@code scale}; all zero if symmetric
 */
public record QuantizedWeight(
    QuantizationArgs args, Tensor codes, Tensor scale, Tensor zeroPoint) {}
