package dev.quench.quantization;

import java.util.List;
import java.util.Optional;

/**
 * How the modules that some targets name are quantized: a config group.
 *
 * @param targets names, {@code re:} patterns or class names of modules
 * @param format how they are stored, if not as {@link CompressionFormat#infer} says
 */
public record QuantizationScheme(
    List<String> targets,
    Optional<QuantizationArgs> weights,
    Optional<QuantizationArgs> inputActivations,
    Optional<QuantizationArgs> outputActivations,
    Optional<CompressionFormat> format) {
  public QuantizationScheme {
    targets = List.copyOf(targets);
  }

  /** How the modules are stored. */
  public CompressionFormat effectiveFormat() {
    return format.orElseGet(() -> CompressionFormat.infer(weights, inputActivations));
  }

  public QuantizationScheme withTargets(List<String> other) {
    return new QuantizationScheme(other, weights, inputActivations, outputActivations, format);
  }

  public QuantizationScheme withFormat(CompressionFormat other) {
    return new QuantizationScheme(
        targets, weights, inputActivations, outputActivations, Optional.of(other));
  }

  public QuantizationScheme withWeights(QuantizationArgs other) {
    return new QuantizationScheme(
        targets, Optional.of(other), inputActivations, outputActivations, format);
  }
}
