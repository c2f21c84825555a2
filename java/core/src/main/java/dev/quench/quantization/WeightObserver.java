package dev.quench.quantization;

import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How the range of a weight is found: what {@code observer} and {@code observer_kwargs} say.
 * Behaviour reference §1.7. A weight is observed once, so that running averages are what they
 * average, and {@code minmax}, {@code static_minmax} and {@code memoryless_minmax} are one.
 */
public final class WeightObserver {
  /** The observer of weights that name none. */
  static final String DEFAULT = "memoryless_minmax";

  /** Smallest and largest element. */
  private static final List<String> MINMAX = List.of(DEFAULT, "minmax", "static_minmax");

  /** The range of the least error; each with the defaults of its arguments. */
  private static final Map<String, Map<String, Number>> SEARCHES = new LinkedHashMap<>();

  /** The same with errors weighed by the importance of channels. */
  private static final Map<String, Map<String, Number>> WEIGHED = new LinkedHashMap<>();

  static {
    Map<String, Number> mse =
        Map.of(
            "maxshrink",
            0.2,
            "patience",
            5,
            "grid",
            100,
            "norm",
            2.4,
            "expand",
            1.0,
            "chunk_size",
            5);
    SEARCHES.put("mse", mse);
    SEARCHES.put("memoryless_mse", mse);
    SEARCHES.put(
        "nvfp4_expanded_mse",
        Map.of(
            "maxshrink",
            1 - 0.8 / 1.8,
            "patience",
            1000,
            "grid",
            200,
            "norm",
            2.4,
            "expand",
            1.8,
            "chunk_size",
            5));
    WEIGHED.put(
        "imatrix_mse",
        Map.of("maxshrink", 0.95, "patience", 5, "grid", 20, "norm", 3.0, "expand", 1.0));
    WEIGHED.put(
        "nvfp4_expanded_imatrix",
        Map.of(
            "maxshrink", 1 - 0.8 / 1.8, "patience", 1000, "grid", 200, "norm", 2.4, "expand", 1.8));
  }

  private final QuantizationArgs args;
  private final Map<String, Number> defaults;

  private WeightObserver(QuantizationArgs args, Map<String, Number> defaults) {
    this.args = args;
    this.defaults = defaults;
  }

  /**
   * The search that the weight's range takes; none if it is that of the elements.
   *
   * @throws InvalidInputException if there's no such observer, or an argument can't be used; the
   *     message names the field and the legal values
   */
  public static Optional<RangeSearch> search(QuantizationArgs args) {
    String name = args.observer().orElse(MINMAX.getFirst());
    if (MINMAX.contains(name)) {
      WeightObserver observer = new WeightObserver(args, Map.of());
      observer.requireKnown(List.of("averaging_constant"));
      return Optional.empty();
    }
    Map<String, Number> defaults = SEARCHES.get(name);
    if (defaults != null) {
      return Optional.of(new WeightObserver(args, defaults).search());
    }
    if (weighs(args)) {
      return Optional.of(new WeightObserver(args, WEIGHED.getOrDefault(name, Map.of())).weighed());
    }
    List<String> legal = new ArrayList<>(MINMAX);
    legal.addAll(SEARCHES.keySet());
    legal.addAll(WEIGHED.keySet());
    throw new InvalidInputException(
        "there is no observer \"%s\".%s Legal are %s"
            .formatted(name, NearMatches.hint(name, legal), String.join(", ", legal)));
  }

  /** Whether the search weighs errors by how much the input channels of the weight matter. */
  public static boolean weighs(QuantizationArgs args) {
    return args.observer().filter(WEIGHED::containsKey).isPresent();
  }

  private RangeSearch search() {
    requireKnown(
        List.of(
            "maxshrink", "patience", "grid", "norm", "expand", "chunk_size", "averaging_constant"));
    integer("chunk_size", 1);
    return search(shrinking(), integer("patience", 1));
  }

  /** Tries one range more than the others do; without patience all of them. */
  private RangeSearch weighed() {
    requireKnown(List.of("maxshrink", "patience", "grid", "norm", "strict", "expand"));
    if (args.blockRows(Long.MAX_VALUE) != 1) {
      throw new InvalidInputException(
          "observer %s weighs the columns of a row, so it needs strategy channel, group or tensor_group; mse weighs errors alike"
              .formatted(args.observer().orElseThrow()));
    }
    int patience = integer("patience", 0);
    return search(shrinking() + 1, patience == 0 ? Integer.MAX_VALUE : patience);
  }

  private RangeSearch search(int steps, int patience) {
    return new RangeSearch(
        steps,
        integer("grid", 1),
        (float) number("expand", Double.MAX_VALUE, "a number above 0"),
        number("norm", Double.MAX_VALUE, "a number above 0"),
        patience);
  }

  private int shrinking() {
    double shrink = number("maxshrink", 1, "a number above 0 and at most 1");
    int grid = integer("grid", 1);
    int steps = (int) (shrink * grid);
    if (steps < 1) {
      throw new InvalidInputException(
          "observer_kwargs: maxshrink %s of grid %d is less than one step".formatted(shrink, grid));
    }
    return steps;
  }

  private void requireKnown(List<String> legal) {
    if (args.observerArgs().get("averaging_constant") instanceof Object constant
        && !(constant instanceof Number number
            && number.doubleValue() >= 0
            && number.doubleValue() <= 1)) {
      throw wrong("averaging_constant", "a number from 0 to 1", constant);
    }
    for (String argument : args.observerArgs().keySet()) {
      if (!legal.contains(argument)) {
        throw new InvalidInputException(
            "observer %s has no argument \"%s\" in observer_kwargs.%s Legal are %s"
                .formatted(
                    args.observer().orElse(MINMAX.getFirst()),
                    argument,
                    NearMatches.hint(argument, legal),
                    String.join(", ", legal)));
      }
    }
  }

  private double number(String argument, double largest, String legal) {
    Object value = value(argument);
    if (value instanceof Number number
        && number.doubleValue() > 0
        && number.doubleValue() <= largest) {
      return number.doubleValue();
    }
    throw wrong(argument, legal, value);
  }

  private int integer(String argument, int smallest) {
    Object value = value(argument);
    if (value instanceof Integer number && number >= smallest) {
      return number;
    }
    throw wrong(
        argument, smallest > 0 ? "a positive whole number" : "a whole number from 0 on", value);
  }

  private Object value(String argument) {
    Object given = args.observerArgs().get(argument);
    return given == null ? defaults.getOrDefault(argument, 0) : given;
  }

  private static InvalidInputException wrong(String argument, String legal, Object found) {
    return new InvalidInputException(
        "observer_kwargs: %s must be %s, found %s".formatted(argument, legal, found));
  }
}
