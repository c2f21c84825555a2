package dev.quench.checkpoint;

import dev.quench.InvalidInputException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Strict JSON in UTF-8: duplicate keys and anything after the value are errors. Only Python's
 * {@code Infinity} and {@code NaN} are taken beyond the standard, since configurations of real
 * models hold them; numbers with a point are doubles, as Python's are.
 */
final class Json {
  static final JsonMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
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
      // Jackson would guess UTF-16 or UTF-32 from the bytes and let some malformed UTF-8 pass.
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      JsonNode node = MAPPER.readTree(text);
      if (node instanceof ObjectNode object) {
        return object;
      }
      throw new InvalidInputException(
          where + " must be a JSON object, found " + node.getNodeType() + ".");
    } catch (CharacterCodingException e) {
      throw new InvalidInputException(where + " isn't valid UTF-8.", e);
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
