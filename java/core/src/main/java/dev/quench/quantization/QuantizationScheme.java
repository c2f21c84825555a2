package dev.quench.quantization;

import dev.quench.InvalidInputException;
import dev.quench.quantization.QuantizationArgs.Strategy;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

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
  /** Of activations: what a runtime can tell apart when they come. */
  private static final Set<Strategy> ACTIVATION_STRATEGIES =
      EnumSet.of(
          Strategy.TOKEN,
          Strategy.TENSOR,
          Strategy.GROUP,
          Strategy.TENSOR_GROUP,
          Strategy.ATTN_HEAD);

  /**
   * @throws InvalidInputException if the parts contradict each other; the message names the field
   */
  public QuantizationScheme {
    targets = List.copyOf(targets);
    inputActivations.ifPresent(args -> checkActivations("input_activations", args));
    outputActivations.ifPresent(args -> checkActivations("output_activations", args));
    if (format.equals(Optional.of(CompressionFormat.MIXED_PRECISION))) {
      throw new InvalidInputException(
          "format mixed-precision is that of a checkpoint whose groups differ; a group's is one of "
              + CompressionFormat.names().stream()
                  .filter(name -> !name.equals(CompressionFormat.MIXED_PRECISION.configName()))
                  .collect(Collectors.joining(", ")));
    }
  }

  private static void checkActivations(String field, QuantizationArgs args) {
    if (!ACTIVATION_STRATEGIES.contains(args.strategy())) {
      throw new InvalidInputException(
          "%s: strategy %s is for weights; legal are token, tensor, group, tensor_group and attn_head"
              .formatted(field, QuantizationArgs.name(args.strategy())));
    }
    if (args.actOrder().isPresent()) {
      throw new InvalidInputException(
          "%s: actorder is an order of a weight's columns; leave it out".formatted(field));
    }
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

  public QuantizationScheme withInputActivations(QuantizationArgs other) {
    return new QuantizationScheme(targets, weights, Optional.of(other), outputActivations, format);
  }

  public QuantizationScheme withWeights(QuantizationArgs other) {
    return new QuantizationScheme(
        targets, Optional.of(other), inputActivations, outputActivations, format);
  }
}
