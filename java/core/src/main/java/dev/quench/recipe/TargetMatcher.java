package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import dev.quench.quantization.QuantizationScheme;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Stream;

/**
 * Finds the scheme of a module among those of config groups. Behaviour reference §1.5.
 *
 * <p>An entry selects a module by a pattern ({@code re:} and a Python regular expression that must
 * match at the start of the module's name), by the module's name, or by its class name. What an
 * ignore entry selects has no scheme. If targets of several groups select a module, exact names go
 * before patterns, these in the order of their text, and both before class names; the order of the
 * recipe doesn't count. Of two groups with an identical target the later one counts.
 *
 * <p>An attention module must be meant itself: an entry that selects its parent or one of its
 * linears too, as {@code re:.*self_attn.*} does, is no target of it.
 */
public final class TargetMatcher {
  private static final String REGEX = "re:";

  /** What attention modules are known by. */
  private static final List<String> ATTENTION_LINEARS =
      List.of(".q_proj", ".k_proj", ".v_proj", ".o_proj", ".qkv_proj", ".kv_b_proj");

  private final Map<Entry, QuantizationScheme> targets =
      new TreeMap<>(Comparator.comparing(Entry::isPattern).thenComparing(Entry::text));
  private final List<Entry> ignore;

  /**
   * @param where what the entries stand in, for messages
   * @throws InvalidInputException if a pattern isn't a regular expression
   */
  public TargetMatcher(Collection<QuantizationScheme> groups, List<String> ignore, String where) {
    for (QuantizationScheme group : groups) {
      group.targets().forEach(target -> targets.put(Entry.of(target, where), group));
    }
    this.ignore = ignore.stream().map(entry -> Entry.of(entry, where)).toList();
  }

  /** The scheme that counts for the module, if any does. */
  public Optional<QuantizationScheme> match(NamedModule module) {
    if (ignores(module)) {
      return Optional.empty();
    }
    return first(entry -> entry.selectsName(module) && entry.means(module))
        .or(() -> first(entry -> entry.selectsClass(module)));
  }

  /** Whether an ignore entry selects the module. */
  public boolean ignores(NamedModule module) {
    return ignore.stream().anyMatch(entry -> entry.selects(module));
  }

  /**
   * @throws InvalidInputException if a target or an ignore entry selects none of the modules, or a
   *     target only such that can't be quantized
   */
  void requireUse(List<NamedModule> modules, String where) {
    for (Entry target : targets.keySet()) {
      List<NamedModule> selected = modules.stream().filter(target::selects).toList();
      if (selected.isEmpty()) {
        throw matchesNothing("target", target, modules, where);
      }
      if (selected.stream().noneMatch(TargetMatcher::canBeQuantized)) {
        throw new InvalidInputException(
            "%s: target \"%s\" selects modules of class %s only, and only %s, %s and attention can be quantized."
                .formatted(
                    where,
                    target.text,
                    selected.getFirst().className(),
                    NamedModule.LINEAR,
                    NamedModule.EMBEDDING));
      }
    }
    for (Entry entry : ignore) {
      if (modules.stream().noneMatch(entry::selects)) {
        throw matchesNothing("ignore entry", entry, modules, where);
      }
    }
  }

  static boolean canBeQuantized(NamedModule module) {
    return module.className().equals(NamedModule.LINEAR)
        || module.className().equals(NamedModule.EMBEDDING)
        || module.isAttention();
  }

  private Optional<QuantizationScheme> first(Predicate<Entry> selects) {
    return targets.entrySet().stream()
        .filter(target -> selects.test(target.getKey()))
        .map(Map.Entry::getValue)
        .findFirst();
  }

  private static InvalidInputException matchesNothing(
      String kind, Entry entry, List<NamedModule> modules, String where) {
    return new InvalidInputException(
        "%s: %s \"%s\" matches no module of the model.%s"
            .formatted(where, kind, entry.text, entry.hint(modules)));
  }

  /** A target or an ignore entry. */
  private record Entry(String text, Optional<Pattern> pattern) {
    static Entry of(String text, String where) {
      if (!text.startsWith(REGEX)) {
        return new Entry(text, Optional.empty());
      }
      try {
        return new Entry(text, Optional.of(PythonRegex.compile(text.substring(REGEX.length()))));
      } catch (PatternSyntaxException e) {
        throw new InvalidInputException(
            "%s: \"%s\" isn't a regular expression: %s near index %d."
                .formatted(where, text, e.getDescription(), e.getIndex()),
            e);
      }
    }

    boolean isPattern() {
      return pattern.isPresent();
    }

    boolean selects(NamedModule module) {
      return selectsName(module) || selectsClass(module);
    }

    boolean selectsName(NamedModule module) {
      return pattern
          .map(regex -> regex.matcher(module.name()).lookingAt())
          .orElseGet(() -> text.equals(module.name()));
    }

    /** Whether a selected module is not just part of what is selected. */
    boolean means(NamedModule module) {
      if (!module.isAttention()) {
        return true;
      }
      String parent = module.name().substring(0, Math.max(module.name().lastIndexOf('.'), 0));
      return Stream.concat(
              Stream.of(parent), ATTENTION_LINEARS.stream().map(last -> module.name() + last))
          .noneMatch(name -> selectsName(NamedModule.linear(name)));
    }

    boolean selectsClass(NamedModule module) {
      return !isPattern()
          && (text.equals(module.className())
              || (text.equals(NamedModule.LINEAR) && module.className().equals("LinearBase")));
    }

    /** Patterns mostly end like a module's name, so they are compared with the ends of names. */
    String hint(List<NamedModule> modules) {
      if (!isPattern()) {
        return NearMatches.hint(
            text,
            modules.stream()
                .flatMap(module -> Stream.of(module.name(), module.className()))
                .toList());
      }
      String letters = text.substring(REGEX.length()).replaceAll("\\.[*+]|[^\\w.]", "");
      List<String> ends = modules.stream().map(module -> end(module.name())).distinct().toList();
      List<String> near =
          NearMatches.of(end(letters), ends).stream()
              .flatMap(
                  last ->
                      modules.stream()
                          .map(NamedModule::name)
                          .filter(name -> end(name).equals(last))
                          .limit(1))
              .toList();
      return near.isEmpty() ? "" : " There are modules such as " + String.join(", ", near) + ".";
    }

    private static String end(String name) {
      return name.substring(name.lastIndexOf('.') + 1);
    }
  }
}
