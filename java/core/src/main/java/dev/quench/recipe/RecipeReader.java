package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.recipe.RecipeNode.Entry;
import dev.quench.recipe.RecipeNode.Mapping;
import dev.quench.recipe.RecipeNode.Scalar;
import dev.quench.recipe.RecipeNode.Sequence;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Reads recipes in llm-compressor's form. Behaviour reference §1.3.
 *
 * <p>A recipe is a map of stages ({@code …_stage}) of groups ({@code …_modifiers}) of modifiers;
 * the outer levels may be left out, and modifiers may stand in a list. Nothing in it is skipped:
 * what Quench doesn't know, or can't do yet, is an {@link InvalidInputException} that names file
 * and line.
 */
public final class RecipeReader {
  private static final String STAGE = "_stage";
  private static final String GROUP = "_modifiers";

  /** Of a stage, in older recipes: which of llm-compressor's functions runs it. */
  private static final String RUN_TYPE = "run_type";

  private final String file;
  private final List<ModifierSpec> modifiers = new ArrayList<>();

  private RecipeReader(String file) {
    this.file = file;
  }

  /**
   * Reads a recipe file.
   *
   * @param file YAML, JSON ({@code .json}), or Markdown ({@code .md}) with the recipe as front
   *     matter
   * @throws InvalidInputException if the file can't be read, or isn't a recipe that can be executed
   */
  public static Recipe read(Path file) {
    try {
      return parse(Files.readString(file), file.toString());
    } catch (CharacterCodingException e) {
      throw new InvalidInputException("Recipe " + file + " isn't UTF-8 text.", e);
    } catch (IOException e) {
      throw new InvalidInputException(
          "Recipe %s can't be read: %s: %s."
              .formatted(file, e.getClass().getSimpleName(), e.getMessage()),
          e);
    }
  }

  /**
   * Reads a recipe's text.
   *
   * @param file names the text in messages; its ending says what the text is, YAML if unknown
   * @throws InvalidInputException if the text isn't a recipe that can be executed
   */
  public static Recipe parse(String text, String file) {
    boolean markdown = file.toLowerCase(Locale.ROOT).endsWith(".md");
    String recipe = markdown ? RecipeText.frontMatter(text, file) : text;
    RecipeReader reader = new RecipeReader(file);
    switch (RecipeText.parse(recipe, file)) {
      case Mapping map -> reader.root(map);
      case Sequence list -> reader.list(list);
      case Scalar scalar ->
          throw new InvalidInputException(
              file
                  + " isn't a recipe: expected a map of stages or modifiers, found "
                  + scalar.shown()
                  + ".");
    }
    if (reader.modifiers.isEmpty()) {
      throw new InvalidInputException(
          file + " has no modifiers; a recipe needs at least one, such as QuantizationModifier.");
    }
    // Front matter begins with the empty lines that keep its line numbers.
    return new Recipe(reader.modifiers, markdown ? recipe.replaceFirst("^\n+", "") : recipe);
  }

  private void root(Mapping root) {
    root.entries()
        .forEach(
            (key, entry) -> {
              if (key.endsWith(STAGE)) {
                stage(key, entry);
              } else if (key.endsWith(GROUP)) {
                group(key, entry);
              } else if (ModifierReader.isKnown(key) || entry.node() instanceof Mapping) {
                modifiers.add(ModifierReader.read(file, key, entry));
              } else {
                throw unknownKey(key, entry, "a recipe");
              }
            });
  }

  private void stage(String stage, Entry stageEntry) {
    if (!(stageEntry.node() instanceof Mapping groups)) {
      throw error(stageEntry, stage + " must be a map of …_modifiers");
    }
    groups
        .entries()
        .forEach(
            (key, entry) -> {
              if (key.equals(RUN_TYPE)) {
                requireOneShot(entry);
              } else if (key.endsWith(GROUP)) {
                group(key, entry);
              } else {
                throw unknownKey(key, entry, stage);
              }
            });
  }

  private void requireOneShot(Entry entry) {
    if (!"oneshot".equals(entry.node().value())) {
      throw error(entry, RUN_TYPE + " must be oneshot: Quench compresses, it doesn't train");
    }
  }

  private void group(String group, Entry entry) {
    switch (entry.node()) {
      case Mapping map ->
          map.entries()
              .forEach(
                  (name, modifier) -> modifiers.add(ModifierReader.read(file, name, modifier)));
      case Sequence list -> list(list);
      case Scalar scalar ->
          throw error(entry, group + " must be a map of modifiers, found " + scalar.shown());
    }
  }

  private void list(Sequence list) {
    for (RecipeNode element : list.elements()) {
      if (!(element instanceof Mapping map)) {
        throw new InvalidInputException(
            "%s: expected a modifier and its fields, found %s."
                .formatted(RecipeText.at(file, element.line()), element.shown()));
      }
      map.entries()
          .forEach((name, modifier) -> modifiers.add(ModifierReader.read(file, name, modifier)));
    }
  }

  private InvalidInputException unknownKey(String key, Entry entry, String parent) {
    return error(
        entry,
        "\"%s\" can't stand in %s, which has keys ending in %s"
            .formatted(key, parent, parent.endsWith(STAGE) ? GROUP : STAGE + " or " + GROUP));
  }

  private InvalidInputException error(Entry entry, String message) {
    return new InvalidInputException(RecipeText.at(file, entry.line()) + ": " + message + ".");
  }
}
