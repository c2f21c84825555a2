package dev.quench.pipeline;

import dev.quench.format.WeightLayout;
import dev.quench.model.LinearSpec;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.recipe.ModifierSpec;

/**
 * What is to become of one module.
 *
 * @param source name of the tensor that its weight is in: its own, or for a head without one the
 *     embedding's
 * @param modifier the algorithm that compresses it
 * @param weights how its weight is quantized
 * @param layout the tensors that the result is stored as
 */
public record ModulePlan(
    LinearSpec linear,
    String source,
    ModifierSpec modifier,
    QuantizationArgs weights,
    WeightLayout layout) {}
