package dev.quench.recipe;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A parsed value of a recipe that knows its line (from 1), so that messages can name it. */
sealed interface RecipeNode {
  int line();

  /** As {@code String, Integer, Long, Double, Boolean, List, Map} or null. */
  @Nullable Object value();

  /** How a message shows it. */
  default String shown() {
    return switch (value()) {
      case null -> "null";
      case String text -> '"' + text + '"';
      case Object other -> other.toString();
    };
  }

  /** A string, number, boolean or null. */
  record Scalar(@Nullable Object value, int line) implements RecipeNode {}

  /** A list. */
  record Sequence(List<RecipeNode> elements, int line) implements RecipeNode {
    @Override
    public Object value() {
      List<@Nullable Object> values = new ArrayList<>();
      elements.forEach(element -> values.add(element.value()));
      return values;
    }
  }

  /** A map in the order of the text. */
  record Mapping(Map<String, Entry> entries, int line) implements RecipeNode {
    @Override
    public Map<String, @Nullable Object> value() {
      Map<String, @Nullable Object> values = new LinkedHashMap<>();
      entries.forEach((key, entry) -> values.put(key, entry.node().value()));
      return values;
    }
  }

  /**
   * A value of a map.
   *
   * @param line of the key
   */
  record Entry(RecipeNode node, int line) {}
}
