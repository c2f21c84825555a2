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
    return node(field)
        .map(node -> node.value() instanceof String text ? text : wrong(field, node, "a string"));
  }

  Optional<Boolean> bool(String field) {
    return node(field)
        .map(
            node ->
                node.value() instanceof Boolean flag ? flag : wrong(field, node, "true or false"));
  }

  Optional<Integer> positiveInteger(String field) {
    return node(field)
        .map(
            node ->
                node.value() instanceof Integer number && number > 0
                    ? number
                    : wrong(field, node, "a positive whole number"));
  }

  Optional<Double> nonNegativeNumber(String field) {
    return node(field)
        .map(
            node ->
                node.value() instanceof Number number
                        && number.doubleValue() >= 0
                        && Double.isFinite(number.doubleValue())
                    ? Double.valueOf(number.doubleValue())
                    : wrong(field, node, "a number that isn't negative"));
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
        return wrong(field, element, "a list of strings");
      }
    }
    return strings;
  }

  Optional<RecipeFields> fields(String field) {
    return node(field)
        .map(
            node ->
                node instanceof Mapping map
                    ? new RecipeFields(file, owner + " " + field, map)
                    : wrong(field, node, "a map"));
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

  private <T> T wrong(String field, RecipeNode found, String legal) {
    throw error(field, "must be " + legal + ", found " + found.shown());
  }
}
