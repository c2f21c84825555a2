package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import dev.quench.recipe.RecipeNode.Entry;
import dev.quench.recipe.RecipeNode.Mapping;
import dev.quench.recipe.RecipeNode.Scalar;
import dev.quench.recipe.RecipeNode.Sequence;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/** Typed access to the fields of a map in a recipe; every complaint names file, line and field. */
record RecipeFields(String file, String owner, Mapping mapping) {

  void requireKnown(Set<String> legal) {
    mapping
        .entries()
        .forEach(
            (field, entry) -> {
              if (!legal.contains(field)) {
                throw new InvalidInputException(
                    "%s: %s has no field \"%s\".%s"
                        .formatted(
                            RecipeText.at(file, entry.line()),
                            owner,
                            field,
                            NearMatches.hint(field, legal)));
              }
            });
  }

  /** Whether the field is there, be it null. */
  boolean has(String field) {
    return mapping.entries().containsKey(field);
  }

  /** The field's value, if it's there and not null. */
  Optional<RecipeNode> node(String field) {
    return Optional.ofNullable(mapping.entries().get(field))
        .map(Entry::node)
        .filter(node -> node.value() != null);
  }

  Optional<String> string(String field) {
    return typed(field, String.class, text -> true, "a string");
  }

  Optional<Boolean> bool(String field) {
    return typed(field, Boolean.class, flag -> true, "true or false");
  }

  Optional<Integer> positiveInteger(String field) {
    return typed(field, Integer.class, number -> number > 0, "a positive whole number");
  }

  Optional<Double> nonNegativeNumber(String field) {
    return typed(
            field,
            Number.class,
            number -> number.doubleValue() >= 0 && Double.isFinite(number.doubleValue()),
            "a number that isn't negative")
        .map(Number::doubleValue);
  }

  /** A list of strings, or one string. */
  Optional<List<String>> strings(String field) {
    return node(field).map(node -> strings(field, node));
  }

  private List<String> strings(String field, RecipeNode node) {
    List<RecipeNode> elements = node instanceof Sequence list ? list.elements() : List.of(node);
    List<String> strings = new ArrayList<>();
    for (RecipeNode element : elements) {
      if (element instanceof Scalar scalar && scalar.value() instanceof String text) {
        strings.add(text);
      } else {
        throw wrong(field, element, "a list of strings");
      }
    }
    return strings;
  }

  Optional<RecipeFields> fields(String field) {
    Optional<RecipeNode> node = node(field);
    if (node.isEmpty()) {
      return Optional.empty();
    }
    if (node.get() instanceof Mapping map) {
      return Optional.of(new RecipeFields(file, owner + " " + field, map));
    }
    throw wrong(field, node.get(), "a map");
  }

  /** "FILE, line N: OWNER's FIELD". */
  String where(String field) {
    Entry entry = mapping.entries().get(field);
    return "%s: %s of %s"
        .formatted(
            RecipeText.at(file, entry == null ? mapping.line() : entry.line()), field, owner);
  }

  InvalidInputException error(String field, String message) {
    return new InvalidInputException(where(field) + " " + message + ".");
  }

  private <T> Optional<T> typed(
      String field, Class<T> type, Predicate<T> legal, String description) {
    Optional<RecipeNode> node = node(field);
    Optional<T> value =
        node.map(RecipeNode::value).filter(type::isInstance).map(type::cast).filter(legal);
    if (node.isPresent() && value.isEmpty()) {
      throw wrong(field, node.get(), description);
    }
    return value;
  }

  private InvalidInputException wrong(String field, RecipeNode found, String legal) {
    return error(field, "must be " + legal + ", found " + found.shown());
  }
}
