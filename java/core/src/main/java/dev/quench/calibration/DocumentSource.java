package dev.quench.calibration;

import dev.quench.InvalidInputException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The documents of a calibration file: JSON lines, a JSON array, or plain text as one document. */
final class DocumentSource {
  private static final JsonMapper JSON = new JsonMapper();

  /** One row of the file. */
  sealed interface Document {
    /** Where it stands, for messages. */
    String where();
  }

  record Text(String where, String text) implements Document {}

  record Messages(String where, JsonNode messages) implements Document {}

  record TokenIds(String where, int[] ids) implements Document {}

  private final Path file;
  private final List<String> lines;
  private final @Nullable JsonNode array;
  private final boolean plainText;

  private DocumentSource(
      Path file, List<String> lines, @Nullable JsonNode array, boolean plainText) {
    this.file = file;
    this.lines = lines;
    this.array = array;
    this.plainText = plainText;
  }

  /**
   * @throws InvalidInputException if the file can't be read, is empty, or isn't of a kind that is
   *     known
   */
  static DocumentSource open(Path file) {
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    if (!Files.isRegularFile(file)) {
      throw new InvalidInputException(file + " doesn't exist or isn't a file.");
    }
    if (name.endsWith(".parquet")) {
      throw new InvalidInputException(
          file + ": Parquet isn't supported yet; give JSON lines (.jsonl), JSON or plain text.");
    }
    String content = read(file);
    if (content.isBlank()) {
      throw new InvalidInputException(file + " is empty; calibration needs text or token ids.");
    }
    if (name.endsWith(".jsonl") || name.endsWith(".ndjson")) {
      List<String> lines = new ArrayList<>();
      content.lines().forEach(lines::add);
      return new DocumentSource(file, lines, null, false);
    }
    if (name.endsWith(".json")) {
      JsonNode array = parse(content, file.toString());
      if (!array.isArray()) {
        throw new InvalidInputException(file + " must be a JSON array of rows.");
      }
      return new DocumentSource(file, List.of(), array, false);
    }
    return new DocumentSource(file, List.of(content), null, true);
  }

  private static String read(Path file) {
    try {
      return Files.readString(file, StandardCharsets.UTF_8);
    } catch (CharacterCodingException e) {
      throw new InvalidInputException(file + " isn't UTF-8 text.", e);
    } catch (IOException e) {
      throw new InvalidInputException(file + " can't be read: " + e.getMessage() + ".", e);
    }
  }

  /** Rows of the file, blank lines among them. */
  int size() {
    return array == null ? lines.size() : array.size();
  }

  boolean isBlank(int index) {
    return array == null && lines.get(index).isBlank();
  }

  Document document(int index) {
    if (plainText) {
      return new Text(file.toString(), lines.get(index));
    }
    if (array == null) {
      String where = file + ":" + (index + 1);
      return document(parse(lines.get(index), where), where);
    }
    return document(array.path(index), file + ", row " + (index + 1));
  }

  private static Document document(JsonNode row, String where) {
    if (row.isArray()) {
      return new TokenIds(where, ids(row, where));
    }
    if (row.path("input_ids").isArray()) {
      return new TokenIds(where, ids(row.path("input_ids"), where));
    }
    if (row.path("messages").isArray()) {
      return new Messages(where, row.path("messages"));
    }
    if (row.path("text").isString()) {
      return new Text(where, row.path("text").asString());
    }
    throw new InvalidInputException(
        "%s: a row needs text, messages or input_ids; this one has %s."
            .formatted(where, row.isObject() ? row.propertyNames() : row.getNodeType()));
  }

  private static int[] ids(JsonNode array, String where) {
    int[] ids = new int[array.size()];
    for (int i = 0; i < ids.length; i++) {
      JsonNode id = array.path(i);
      if (!id.isIntegralNumber() || !id.canConvertToInt() || id.asInt() < 0) {
        throw new InvalidInputException(
            where + ": token ids must be non-negative integers, found " + id + ".");
      }
      ids[i] = id.asInt();
    }
    return ids;
  }

  private static JsonNode parse(String json, String where) {
    try {
      return JSON.readTree(json);
    } catch (JacksonException e) {
      throw new InvalidInputException(
          where
              + " isn't valid JSON: "
              + e.getOriginalMessage().lines().findFirst().orElse("")
              + ".",
          e);
    }
  }
}
