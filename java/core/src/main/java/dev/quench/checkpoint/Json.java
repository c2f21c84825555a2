package dev.quench.checkpoint;

import dev.quench.InvalidInputException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Strict JSON: duplicate keys and anything after the value are errors. */
final class Json {
  static final JsonMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .build();

  private Json() {}

  /**
   * @throws InvalidInputException if the file can't be read or isn't a JSON object
   */
  static ObjectNode readObject(Path file) {
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new InvalidInputException(file + " can't be read: " + reason(e) + ".", e);
    }
    return parseObject(bytes, file.toString());
  }

  static ObjectNode parseObject(byte[] bytes, String where) {
    try {
      JsonNode node = MAPPER.readTree(bytes);
      if (node instanceof ObjectNode object) {
        return object;
      }
      throw new InvalidInputException(
          where + " must be a JSON object, found " + node.getNodeType() + ".");
    } catch (JacksonException e) {
      throw new InvalidInputException(
          where
              + " isn't valid JSON: "
              + e.getOriginalMessage().lines().findFirst().orElse("")
              + ".",
          e);
    }
  }

  static String reason(IOException e) {
    String message = e.getMessage();
    return message == null
        ? e.getClass().getSimpleName()
        : e.getClass().getSimpleName() + ": " + message;
  }
}
