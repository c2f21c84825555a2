package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.ActOrder;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.quantization.QuantizationArgs.Strategy;
import dev.quench.quantization.QuantizationScheme;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.LongStream;

/** What this version can execute of all that a scheme can say, and what fits a weight. */
public final class SchemeChecks {
  /** For weights these are one: a weight is observed once. Behaviour reference §1.7. */
  private static final Set<String> WEIGHT_OBSERVERS =
      Set.of("memoryless_minmax", "minmax", "static_minmax");

  private static final Set<Strategy> WEIGHT_STRATEGIES =
      EnumSet.of(Strategy.TENSOR, Strategy.CHANNEL, Strategy.GROUP, Strategy.BLOCK);

  private SchemeChecks() {}

  /**
   * @param where file, line and group, for messages
   * @throws InvalidInputException that names the field, if the scheme needs what doesn't exist yet
   */
  static void requireExecutable(QuantizationScheme scheme, String where) {
    QuantizationArgs weights =
        scheme.weights().orElseThrow(() -> notYet(where, "a scheme without weights is"));
    requireExecutableWeights(weights, where + ", weights");
    scheme
        .inputActivations()
        .filter(inputs -> inputs.dynamic() != Dynamic.DYNAMIC)
        .ifPresent(
            inputs -> {
              throw notYet(
                  where + ", input_activations",
                  "dynamic: %s (scales found by calibration) is"
                      .formatted(inputs.dynamic() == Dynamic.LOCAL ? "local" : "false"));
            });
    if (scheme.outputActivations().isPresent()) {
      throw notYet(where, "output_activations is");
    }
    scheme
        .format()
        .filter(format -> !formats(weights.type()).contains(format))
        .ifPresent(
            format -> {
              throw new InvalidInputException(
                  "%s: format %s can't hold these weights; legal are %s."
                      .formatted(
                          where,
                          format.configName(),
                          String.join(
                              ", ",
                              formats(weights.type()).stream()
                                  .map(CompressionFormat::configName)
                                  .toList())));
            });
  }

  private static void requireExecutableWeights(QuantizationArgs weights, String where) {
    boolean int2To8 = weights.type() == QuantizationArgs.Type.INT && weights.numBits() >= 2;
    boolean fp8 = weights.type() == QuantizationArgs.Type.FLOAT && weights.numBits() == 8;
    if (!int2To8 && !fp8) {
      throw notYet(
          where,
          "type %s with num_bits %d is"
              .formatted(
                  weights.type() == QuantizationArgs.Type.INT ? "int" : "float",
                  weights.numBits()));
    }
    if (!WEIGHT_STRATEGIES.contains(weights.strategy())) {
      throw notYet(where, "strategy " + lower(weights.strategy()) + " is");
    }
    if (fp8 && !weights.symmetric()) {
      throw notYet(where, "symmetric: false with type float is");
    }
    if (weights.scaleDtype().isPresent()) {
      throw notYet(where, "scale_dtype is");
    }
    if (weights.dynamic() != Dynamic.STATIC) {
      throw notYet(where, "dynamic is");
    }
    requireKnownActOrder(weights.actOrder(), where);
    weights
        .observer()
        .filter(observer -> !WEIGHT_OBSERVERS.contains(observer))
        .ifPresent(
            observer -> {
              throw notYet(where, "observer " + observer + " is");
            });
    for (String argument : weights.observerArgs().keySet()) {
      // An average over one observation is that observation.
      if (!argument.equals("averaging_constant")) {
        throw notYet(where, "observer_kwargs " + argument + " is");
      }
    }
  }

  /** Also llm-compressor's GPTQ refuses {@code group}. */
  static void requireKnownActOrder(Optional<ActOrder> order, String where) {
    if (order.equals(Optional.of(ActOrder.GROUP))) {
      throw new InvalidInputException(
          where
              + ": actorder group isn't supported, since runtimes no longer read its weight_g_idx; write 'static' or 'weight', which order the columns alike and need no extra tensor.");
    }
  }

  /** Formats that can hold weights of that type. */
  static List<CompressionFormat> formats(QuantizationArgs.Type type) {
    return type == QuantizationArgs.Type.INT
        ? List.of(
            CompressionFormat.PACK_QUANTIZED,
            CompressionFormat.INT_QUANTIZED,
            CompressionFormat.NAIVE_QUANTIZED)
        : List.of(CompressionFormat.FLOAT_QUANTIZED, CompressionFormat.NAIVE_QUANTIZED);
  }

  /**
   * Checks that groups divide a weight's columns. Blocks needn't: the last ones are smaller.
   *
   * @param module name of the module, for the message
   * @throws InvalidInputException that names module, columns, group size and sizes that would fit
   */
  public static void checkFits(QuantizationArgs weights, String module, long rows, long columns) {
    boolean grouped =
        weights.strategy() == Strategy.GROUP || weights.strategy() == Strategy.TENSOR_GROUP;
    if (!grouped || columns % weights.groupSize().orElseThrow() == 0) {
      return;
    }
    int groupSize = weights.groupSize().orElseThrow();
    List<String> fitting =
        LongStream.of(16, 32, 64, 128, 256, 512)
            .filter(size -> columns % size == 0)
            .boxed()
            .sorted((a, b) -> Long.compare(Math.abs(a - groupSize), Math.abs(b - groupSize)))
            .limit(3)
            .map(String::valueOf)
            .toList();
    throw new InvalidInputException(
        "%s: groups of %d columns don't divide its weight of %d × %d; %s, or add the module to ignore."
            .formatted(
                module,
                groupSize,
                rows,
                columns,
                fitting.isEmpty()
                    ? "use strategy channel"
                    : "use group_size " + String.join(" or ", fitting)));
  }

  private static InvalidInputException notYet(String where, String what) {
    return new InvalidInputException(where + ": " + what + " not supported yet.");
  }

  private static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }
}
