package dev.quench.recipe;

import dev.quench.InvalidInputException;
import dev.quench.recipe.RecipeNode.Entry;
import dev.quench.recipe.RecipeNode.Mapping;
import dev.quench.recipe.RecipeNode.Scalar;
import dev.quench.recipe.RecipeNode.Sequence;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.dataformat.yaml.YAMLFactory;
import tools.jackson.dataformat.yaml.YAMLParser;

/** Parses the text of a recipe to nodes that know their lines. */
final class RecipeText {
  private final JsonParser parser;
  private final String file;

  private RecipeText(JsonParser parser, String file) {
    this.parser = parser;
    this.file = file;
  }

  /**
   * @param file names the text in messages; {@code .json} is read as JSON, anything else as YAML
   * @throws InvalidInputException with the line, if the text is malformed, repeats a key, holds
   *     more than one document or uses YAML aliases
   */
  static RecipeNode parse(String text, String file) {
    boolean json = file.toLowerCase(Locale.ROOT).endsWith(".json");
    ObjectReadContext context = ObjectReadContext.empty();
    try (JsonParser parser =
        json
            ? new JsonFactory().createParser(context, text)
            : new YAMLFactory().createParser(context, text)) {
      return new RecipeText(parser, file).document();
    } catch (JacksonException e) {
      throw new InvalidInputException(
          "%s isn't valid %s: %s."
              .formatted(at(file, e.getLocation().getLineNr()), json ? "JSON" : "YAML", reason(e)),
          e);
    }
  }

  /**
   * The text between the first two {@code ---} lines of a Markdown file, with empty lines in place
   * of what came before, so that line numbers stay those of the file.
   */
  static String frontMatter(String markdown, String file) {
    List<String> lines = markdown.lines().toList();
    int first = 0;
    while (first < lines.size() && lines.get(first).isBlank()) {
      first++;
    }
    if (first < lines.size() && lines.get(first).strip().equals("---")) {
      for (int end = first + 1; end < lines.size(); end++) {
        if (lines.get(end).strip().equals("---")) {
          return "\n".repeat(first + 1) + String.join("\n", lines.subList(first + 1, end)) + "\n";
        }
      }
    }
    throw new InvalidInputException(
        file
            + " has no front matter: a recipe in Markdown stands between two lines \"---\""
            + " at its top.");
  }

  /** "FILE, line N". */
  static String at(String file, int line) {
    return file + ", line " + line;
  }

  private RecipeNode document() {
    JsonToken first = parser.nextToken();
    if (first == null) {
      return new Scalar(null, 1);
    }
    RecipeNode root = node(first);
    if (parser.nextToken() != null) {
      throw error("a recipe is one document, but a second one begins here");
    }
    return root;
  }

  private RecipeNode node(JsonToken token) {
    int line = line();
    return switch (token) {
      case START_OBJECT -> mapping(line);
      case START_ARRAY -> sequence(line);
      default -> new Scalar(scalar(token), line);
    };
  }

  private Mapping mapping(int line) {
    Map<String, Entry> entries = new LinkedHashMap<>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      int keyLine = line();
      Entry entry = new Entry(node(parser.nextToken()), keyLine);
      Entry earlier = entries.put(key, entry);
      if (earlier != null) {
        throw new InvalidInputException(
            "%s: \"%s\" is given a second time, first in line %d; only the last would count. Two modifiers of one kind need two _modifiers blocks."
                .formatted(at(file, keyLine), key, earlier.line()));
      }
    }
    return new Mapping(entries, line);
  }

  private Sequence sequence(int line) {
    List<RecipeNode> elements = new ArrayList<>();
    for (JsonToken token = parser.nextToken();
        token != JsonToken.END_ARRAY;
        token = parser.nextToken()) {
      elements.add(node(token));
    }
    return new Sequence(elements, line);
  }

  private @Nullable Object scalar(JsonToken token) {
    if (parser instanceof YAMLParser yaml && yaml.isCurrentAlias()) {
      throw error("the YAML alias *" + parser.getString() + " must be written out");
    }
    return switch (token) {
      case VALUE_NULL -> null;
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> parser.getNumberValue();
      // Jackson leaves YAML's other spelling of null to its readers.
      case VALUE_STRING -> parser.getString().equals("~") ? null : parser.getString();
      default -> throw error("unexpected " + token);
    };
  }

  private int line() {
    return parser.currentTokenLocation().getLineNr();
  }

  private InvalidInputException error(String message) {
    return new InvalidInputException(at(file, line()) + ": " + message + ".");
  }

  /** The parser's message spans lines and quotes the text; one line of it says what it wants. */
  private static String reason(JacksonException e) {
    List<String> lines = e.getOriginalMessage().lines().map(String::strip).toList();
    return lines.stream()
        .filter(line -> line.startsWith("expected"))
        .findFirst()
        .or(() -> lines.stream().findFirst())
        .orElse("unknown reason");
  }
}
