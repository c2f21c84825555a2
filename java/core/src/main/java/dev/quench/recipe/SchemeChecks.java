package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.quantization.ActivationObserver;
import dev.quench.quantization.CodeFormat;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.ActOrder;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.quantization.QuantizationArgs.Strategy;
import dev.quench.quantization.QuantizationScheme;
import dev.quench.quantization.ScaleFormat;
import dev.quench.quantization.WeightObserver;
import dev.quench.tensor.DType;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.LongStream;

/** What this version can execute of all that a scheme can say, and what fits a weight. */
public final class SchemeChecks {
  private static final Set<Strategy> WEIGHT_STRATEGIES =
      EnumSet.of(Strategy.TENSOR, Strategy.CHANNEL, Strategy.GROUP, Strategy.BLOCK);

  private SchemeChecks() {}

  /**
   * @param where file, line and group, for messages
   * @throws InvalidInputException that names the field, if the scheme needs what doesn't exist yet
   */
  static void requireExecutable(QuantizationScheme scheme, String where) {
    if (scheme.outputActivations().isPresent()) {
      throw notYet(where, "output_activations is");
    }
    if (scheme.weights().isEmpty()) {
      requireAttention(scheme, where);
      return;
    }
    QuantizationArgs weights = scheme.weights().get();
    requireExecutableWeights(weights, where + ", weights");
    scheme
        .inputActivations()
        .ifPresent(inputs -> requireExecutableInputs(inputs, where + ", input_activations"));
    scheme
        .format()
        .filter(format -> !formats(weights).contains(format))
        .ifPresent(
            format -> {
              throw new InvalidInputException(
                  "%s: format %s can't hold these weights; legal are %s."
                      .formatted(
                          where,
                          format.configName(),
                          String.join(
                              ", ",
                              formats(weights).stream()
                                  .map(CompressionFormat::configName)
                                  .toList())));
            });
  }

  /** Without weights it is the states of attention that are quantized. */
  private static void requireAttention(QuantizationScheme scheme, String where) {
    QuantizationArgs states =
        scheme
            .inputActivations()
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        where
                            + ": there is nothing to quantize; give weights, or for attention modules input_activations."));
    requireStates(states, where + ", input_activations");
    if (states.dynamic() != Dynamic.STATIC) {
      throw new InvalidInputException(
          where + ", input_activations: dynamic must be false for attention.");
    }
    scheme
        .format()
        .filter(format -> format != CompressionFormat.DENSE)
        .ifPresent(
            format -> {
              throw new InvalidInputException(
                  "%s: format %s is of weights, and there are none; leave it out."
                      .formatted(where, format.configName()));
            });
  }

  private static void requireExecutableInputs(QuantizationArgs inputs, String where) {
    switch (inputs.dynamic()) {
      case DYNAMIC -> {}
      case STATIC -> {
        if (inputs.strategy() != Strategy.TENSOR) {
          throw new InvalidInputException(
              "%s: strategy %s can't be used with dynamic: false; a range that is known beforehand is that of the whole input: use strategy tensor, or dynamic: true."
                  .formatted(where, lower(inputs.strategy())));
        }
        requireNativeScale(inputs, where);
      }
      // Only a global scale is kept of them; that runtimes have E4M3 scales under it goes unsaid.
      case LOCAL -> requireNvfp4(inputs.withScaleDtype(Optional.of(DType.F8_E4M3)), where);
    }
    requireObserver(inputs, where);
  }

  /**
   * What quantizes the keys and values of attention, or its queries too.
   *
   * @throws InvalidInputException that names the field
   */
  static void requireStates(QuantizationArgs states, String where) {
    if (states.strategy() != Strategy.TENSOR && states.strategy() != Strategy.ATTN_HEAD) {
      throw new InvalidInputException(
          "%s: strategy %s can't be used for keys and values; legal are tensor and attn_head."
              .formatted(where, lower(states.strategy())));
    }
    requireNativeScale(states, where);
    requireObserver(states, where);
  }

  private static void requireNativeScale(QuantizationArgs activations, String where) {
    if (activations.scaleFormat() != ScaleFormat.NATIVE
        || activations.scaleDtype().isPresent()
        || activations.codeFormat() == CodeFormat.E2M1) {
      throw new InvalidInputException(
          where
              + ": one scale for all needs type int, or type float with num_bits 8, and no scale_dtype.");
    }
  }

  private static void requireObserver(QuantizationArgs activations, String where) {
    if (activations.dynamic() == Dynamic.DYNAMIC) {
      return;
    }
    try {
      ActivationObserver.of(activations);
    } catch (InvalidInputException e) {
      throw new InvalidInputException(where + ": " + e.getMessage() + ".", e);
    }
  }

  private static void requireExecutableWeights(QuantizationArgs weights, String where) {
    requireNumbers(weights, where);
    if (weights.dynamic() != Dynamic.STATIC) {
      throw new InvalidInputException(
          where + ": dynamic must be false; only activations can be quantized by the runtime.");
    }
    requireKnownActOrder(weights.actOrder(), where);
    try {
      WeightObserver.search(weights);
    } catch (InvalidInputException e) {
      throw new InvalidInputException(where + ": " + e.getMessage() + ".", e);
    }
  }

  /** Checks that codes and scales are a pair that some format has. */
  private static void requireNumbers(QuantizationArgs weights, String where) {
    Optional<DType> scales = weights.scaleDtype();
    switch (weights.scaleFormat()) {
      case NATIVE -> {
        if (scales.isPresent()) {
          throw new InvalidInputException(
              where
                  + ": scale_dtype can't be %s; legal are uint8 (MXFP4, MXFP8), float8_e4m3fn (NVFP4) and null, the weight's own dtype."
                      .formatted(scales.get().name().toLowerCase(Locale.ROOT)));
        }
        if (weights.codeFormat() == CodeFormat.E2M1) {
          throw new InvalidInputException(
              where
                  + ": type float with num_bits 4 needs scale_dtype float8_e4m3fn with strategy tensor_group and group_size 16 (NVFP4), or scale_dtype uint8 with strategy group and group_size 32 (MXFP4).");
        }
        if (!WEIGHT_STRATEGIES.contains(weights.strategy())) {
          throw new InvalidInputException(
              "%s: strategy %s can't be used for these weights; legal are tensor, channel, group and block."
                  .formatted(where, lower(weights.strategy())));
        }
      }
      case E8M0 -> {
        if (weights.type() != QuantizationArgs.Type.FLOAT
            || weights.strategy() != Strategy.GROUP
            || !weights.groupSize().equals(Optional.of(32))) {
          throw new InvalidInputException(
              where
                  + ": scale_dtype uint8 needs type float, strategy group and group_size 32 (MXFP4, MXFP8).");
        }
      }
      case E4M3 -> requireNvfp4(weights, where);
    }
  }

  private static void requireNvfp4(QuantizationArgs args, String where) {
    if (args.scaleFormat() != ScaleFormat.E4M3
        || args.codeFormat() != CodeFormat.E2M1
        || args.strategy() != Strategy.TENSOR_GROUP
        || !args.groupSize().equals(Optional.of(16))) {
      throw new InvalidInputException(
          "%s: %s needs type float, num_bits 4, strategy tensor_group, group_size 16 and scale_dtype float8_e4m3fn (NVFP4)."
              .formatted(
                  where,
                  args.dynamic() == Dynamic.LOCAL
                      ? "dynamic: local"
                      : "scale_dtype float8_e4m3fn"));
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

  /**
   * @param where names the modifier in the message
   * @throws InvalidInputException if GPTQ can't round such weights
   */
  public static void requireGptq(QuantizationArgs weights, String where) {
    if (weights.scaleFormat() != ScaleFormat.NATIVE) {
      throw new InvalidInputException(
          "%s: GPTQModifier with scale_dtype %s is not supported yet; use QuantizationModifier, which rounds to nearest."
              .formatted(where, weights.toMap().get("scale_dtype")));
    }
  }

  /** Formats that can hold such weights. */
  static List<CompressionFormat> formats(QuantizationArgs weights) {
    return switch (weights.scaleFormat()) {
      case NATIVE ->
          weights.codeFormat() == CodeFormat.INTEGER
              ? List.of(
                  CompressionFormat.PACK_QUANTIZED,
                  CompressionFormat.INT_QUANTIZED,
                  CompressionFormat.NAIVE_QUANTIZED)
              : List.of(CompressionFormat.FLOAT_QUANTIZED, CompressionFormat.NAIVE_QUANTIZED);
      case E8M0 ->
          switch (weights.codeFormat()) {
            case INTEGER -> List.of();
            case E4M3 -> List.of(CompressionFormat.MXFP8_QUANTIZED);
            case E2M1 -> List.of(CompressionFormat.MXFP4_PACK_QUANTIZED);
          };
      case E4M3 ->
          weights.codeFormat() == CodeFormat.E2M1
              ? List.of(CompressionFormat.NVFP4_PACK_QUANTIZED)
              : List.of();
    };
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
            .formatted(module, groupSize, rows, columns, advice(weights, fitting)));
  }

  private static String advice(QuantizationArgs weights, List<String> fitting) {
    if (weights.scaleFormat() != ScaleFormat.NATIVE) {
      return "use a scheme whose group_size divides them";
    }
    return fitting.isEmpty()
        ? "use strategy channel"
        : "use group_size " + String.join(" or ", fitting);
  }

  private static InvalidInputException notYet(String where, String what) {
    return new InvalidInputException(where + ": " + what + " not supported yet.");
  }

  private static String lower(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }
}
