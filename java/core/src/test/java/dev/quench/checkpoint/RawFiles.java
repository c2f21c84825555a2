package dev.quench.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Safetensors files made by hand, so that tests of the reader don't rest on the writer. */
final class RawFiles {
  private RawFiles() {}

  /** A file of this header and data, whether or not they fit each other. */
  static byte[] bytes(String header, byte[] data) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + json.length + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .put(data)
        .array();
  }

  static Path write(Path file, String header, byte[] data) {
    return write(file, bytes(header, data));
  }

  static Path write(Path file, byte[] bytes) {
    try {
      return Files.write(file, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A header entry; the quotes are single ones. */
  static String entry(String name, String dtype, String shape, long begin, long end) {
    return "'%s':{'dtype':'%s','shape':%s,'data_offsets':[%d,%d]}"
        .formatted(name, dtype, shape, begin, end);
  }

  /** A header of entries with single quotes. */
  static String header(String... entries) {
    return ("{" + String.join(",", entries) + "}").replace('\'', '"');
  }

  /** {@code length} bytes that count up from {@code first}. */
  static byte[] counting(int first, int length) {
    byte[] data = new byte[length];
    for (int i = 0; i < length; i++) {
      data[i] = (byte) (first + i);
    }
    return data;
  }
}
