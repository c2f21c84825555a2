package dev.quench.recipe;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationScheme;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Which modules a modifier quantizes, and how. Behaviour reference §1.4, "Q-args".
 *
 * @param groups schemes by the name of their config group, in the recipe's order; empty if the
 *     modules keep the schemes that an earlier modifier gave them
 * @param targets what selects modules: those of all groups, or without groups the modifier's own
 * @param ignore names, {@code re:} patterns or class names of modules that are left alone
 * @param cache how the keys and values of all attention modules are quantized, if they are
 */
public record QuantizationTargets(
    Map<String, QuantizationScheme> groups,
    List<String> targets,
    List<String> ignore,
    Optional<QuantizationArgs> cache) {
  public QuantizationTargets {
    groups = Collections.unmodifiableMap(new LinkedHashMap<>(groups));
    targets = List.copyOf(targets);
    ignore = List.copyOf(ignore);
  }
}
