package dev.quench.quantization;

import dev.quench.InvalidInputException;
import dev.quench.quantization.QuantizationArgs.BlockStructure;
import dev.quench.quantization.QuantizationArgs.Strategy;
import dev.quench.tensor.DType;
import java.util.Optional;

/**
 * How the range of activations is found: what {@code observer} and {@code observer_kwargs} say of
 * them. Behaviour reference §1.7. Each row of the calibration data has a range of its own, and
 * these are joined in their order, so that how rows are put into batches doesn't show.
 *
 * @param search the search that a row's range takes; none if it is that of the elements
 * @param joining how the ranges of rows become one
 * @param weight share of a row in a running average
 */
public record ActivationObserver(Optional<RangeSearch> search, Joining joining, double weight) {
  /** The observer of activations that name none. */
  public static final String DEFAULT = "minmax";

  private static final double DEFAULT_WEIGHT = 0.01;

  /** How the ranges of rows become one. */
  public enum Joining {
    /** The last row counts. */
    LAST,
    /** The smallest that holds all. */
    WIDEST,
    /** A running average, which starts at the first row's. */
    AVERAGE
  }

  /** Which end of a range. */
  public enum End {
    MIN,
    MAX
  }

  /**
   * @throws InvalidInputException if there's no such observer for activations, or an argument can't
   *     be used; the message names the field and the legal values
   */
  public static ActivationObserver of(QuantizationArgs args) {
    String name = args.observer().orElse(DEFAULT);
    if (WeightObserver.weighs(args)) {
      throw new InvalidInputException(
          "observer %s is for weights; mse weighs errors alike".formatted(name));
    }
    Optional<RangeSearch> search = WeightObserver.search(args.withObserver(name));
    Joining joining =
        switch (name) {
          case "static_minmax" -> Joining.WIDEST;
          case "minmax", "mse" -> Joining.AVERAGE;
          default -> Joining.LAST;
        };
    Object weight = args.observerArgs().get("averaging_constant");
    return new ActivationObserver(
        search, joining, weight instanceof Number number ? number.doubleValue() : DEFAULT_WEIGHT);
  }

  /**
   * One end of the range of all rows so far and one more. All arithmetic is rounded to {@code
   * dtype}.
   */
  public float join(float before, float row, End end, DType dtype) {
    return switch (joining) {
      case LAST -> row;
      case WIDEST -> end == End.MIN ? Math.min(before, row) : Math.max(before, row);
      case AVERAGE -> {
        float kept = Rounding.to(dtype, before * (float) (1 - weight));
        yield Rounding.to(dtype, kept + Rounding.to(dtype, row * (float) weight));
      }
    };
  }

  /**
   * Says which elements of a calibration row have a range of their own, as a search wants it: all
   * tokens of some columns.
   *
   * @param rows tokens of the calibration row
   * @param columns that share a range
   */
  public static QuantizationArgs overTokens(QuantizationArgs args, int rows, int columns) {
    return new QuantizationArgs(
        args.numBits(),
        args.type(),
        args.symmetric(),
        Strategy.BLOCK,
        Optional.empty(),
        Optional.of(new BlockStructure(rows, columns)),
        QuantizationArgs.Dynamic.STATIC,
        Optional.empty(),
        Optional.empty(),
        args.zeroPointDtype(),
        args.observer(),
        args.observerArgs());
  }
}
