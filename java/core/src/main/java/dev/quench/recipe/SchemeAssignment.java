package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationScheme;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Which scheme each module of a model gets from a recipe, and which modifier makes its codes.
 * Behaviour reference §1.5.
 *
 * @param modules all modules of the model, in its order
 * @param assigned the quantized ones by name, in the same order; attention modules only if their
 *     queries are quantized too
 * @param cache how the keys and values of all attention modules are quantized, if they are
 */
public record SchemeAssignment(
    List<NamedModule> modules, Map<String, Assigned> assigned, Optional<QuantizationArgs> cache) {
  /** A module's scheme, and the modifier that quantizes it. */
  public record Assigned(NamedModule module, QuantizationScheme scheme, ModifierSpec modifier) {}

  public SchemeAssignment {
    modules = List.copyOf(modules);
    assigned = Collections.unmodifiableMap(new LinkedHashMap<>(assigned));
  }

  /**
   * Applies the modifiers in order. One that comes later takes over the modules that its targets
   * select, less its own ignore list; the others keep what they had.
   *
   * @param modules in the model's order; {@code lm_head} is one also if it shares the embedding
   * @throws InvalidInputException if an entry matches nothing, or a modifier has no module
   */
  public static SchemeAssignment assign(Recipe recipe, List<NamedModule> modules) {
    Map<String, Assigned> assigned = new LinkedHashMap<>();
    Optional<QuantizationArgs> cache = Optional.empty();
    for (ModifierSpec modifier : recipe.modifiers()) {
      Map<String, Assigned> own = assign(modifier, modules, assigned);
      if (modifier.quantization().cache().isPresent()) {
        cache = modifier.quantization().cache();
      }
      if (own.isEmpty() && modifier.quantization().cache().isEmpty()) {
        throw new InvalidInputException(
            where(modifier)
                + (modifier.quantization().groups().isEmpty()
                    ? " has no scheme of its own, and no earlier modifier gave one to the modules that it selects; add a scheme."
                    : " selects no module: its ignore list takes all that its targets match."));
      }
      assigned.putAll(own);
    }
    Map<String, Assigned> inOrder = new LinkedHashMap<>();
    for (NamedModule module : modules) {
      Assigned assignment = assigned.get(module.name());
      if (assignment != null) {
        inOrder.put(module.name(), assignment);
      }
    }
    return new SchemeAssignment(modules, inOrder, cacheOf(modules, inOrder, cache));
  }

  /**
   * Attention whose queries are quantized has its keys and values quantized alike. config.json has
   * one scheme for all attention modules.
   */
  private static Optional<QuantizationArgs> cacheOf(
      List<NamedModule> modules, Map<String, Assigned> assigned, Optional<QuantizationArgs> cache) {
    List<Assigned> attention =
        assigned.values().stream().filter(each -> each.module().isAttention()).toList();
    if (attention.isEmpty()) {
      return cache;
    }
    Optional<QuantizationArgs> first = attention.getFirst().scheme().inputActivations();
    boolean all =
        modules.stream()
            .filter(NamedModule::isAttention)
            .allMatch(module -> assigned.containsKey(module.name()));
    boolean alike =
        attention.stream().allMatch(each -> each.scheme().inputActivations().equals(first))
            && (cache.isEmpty() || cache.equals(first));
    if (!all || !alike) {
      throw new InvalidInputException(
          where(attention.getFirst().modifier())
              + ": the keys and values of all attention modules must be quantized alike, since config.json has one kv_cache_scheme; give all of them one config group, and no other kv_cache_scheme.");
    }
    return first;
  }

  /** What becomes of the module of that name; nothing if it's left alone. */
  public Optional<Assigned> of(String moduleName) {
    return Optional.ofNullable(assigned.get(moduleName));
  }

  private static Map<String, Assigned> assign(
      ModifierSpec modifier, List<NamedModule> modules, Map<String, Assigned> before) {
    QuantizationTargets quantization = modifier.quantization();
    boolean inherits = quantization.groups().isEmpty();
    if (inherits && modifier instanceof QuantizationSpec) {
      // It is there for the KV cache.
      return Map.of();
    }
    TargetMatcher matcher =
        new TargetMatcher(
            inherits
                ? List.of(unquantized(quantization.targets()))
                : quantization.groups().values(),
            quantization.ignore(),
            where(modifier));
    matcher.requireUse(modules, where(modifier));
    Map<String, Assigned> own = new LinkedHashMap<>();
    for (NamedModule module : modules) {
      if (!TargetMatcher.canBeQuantized(module)) {
        continue;
      }
      Optional<QuantizationScheme> scheme = matcher.match(module);
      if (inherits && scheme.isPresent()) {
        scheme = Optional.ofNullable(before.get(module.name())).map(Assigned::scheme);
      }
      scheme.ifPresent(found -> own.put(module.name(), new Assigned(module, found, modifier)));
    }
    return own;
  }

  private static QuantizationScheme unquantized(List<String> targets) {
    return new QuantizationScheme(
        targets, Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty());
  }

  private static String where(ModifierSpec modifier) {
    return modifier.origin() + ": " + modifier.name();
  }
}
