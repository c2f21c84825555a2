package dev.quench.calibration;

import dev.quench.InvalidInputException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Strict UTF-8: bytes that aren't are an error, not replacement characters. */
final class Utf8 {
  private Utf8() {}

  /** Decodes; a byte order mark at the start is left out. */
  static String decode(byte[] bytes, String where) {
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      return text.startsWith("\uFEFF") ? text.substring(1) : text;
    } catch (CharacterCodingException e) {
      throw new InvalidInputException(where + " isn't valid UTF-8.", e);
    }
  }

  /** Whether all surrogates are paired: JSON may escape half a pair, which no tokenizer takes. */
  static boolean isWellFormed(String text) {
    return StandardCharsets.UTF_8.newEncoder().canEncode(text);
  }
}
