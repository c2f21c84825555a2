package dev.quench.pipeline;

import dev.quench.checkpoint.OutputTensor;
import dev.quench.format.ActivationLayout;
import dev.quench.format.WeightLayout;
import dev.quench.model.LinearSpec;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.WeightObserver;
import dev.quench.recipe.GptqSpec;
import dev.quench.recipe.ModifierSpec;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What is to become of one module.
 *
 * @param source name of the tensor that its weight is in: its own, or for a head without one the
 *     embedding's
 * @param modifier the algorithm that compresses it
 * @param weights how its weight is quantized
 * @param layout the tensors that the result is stored as
 * @param input what is stored of its input, if that is quantized by a range known beforehand
 */
public record ModulePlan(
    LinearSpec linear,
    String source,
    ModifierSpec modifier,
    QuantizationArgs weights,
    WeightLayout layout,
    Optional<ActivationLayout> input) {

  /** Whether its input must be seen. */
  boolean isCalibrated() {
    return usesHessian() || usesImportance() || input.isPresent();
  }

  boolean usesImportance() {
    return WeightObserver.weighs(weights);
  }

  boolean usesHessian() {
    return modifier instanceof GptqSpec;
  }

  /** All that is stored of it. */
  List<OutputTensor> tensors() {
    return Stream.concat(
            layout.tensors().stream(), input.stream().flatMap(each -> each.tensors().stream()))
        .toList();
  }
}
