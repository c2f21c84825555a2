package dev.quench.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * Tells models apart without reading them whole: SHA-256 over config.json, the name, dtype and
 * shape of every tensor, and the first 4 KiB of each. Training touches all tensors, so this is
 * enough to notice another model, and takes milliseconds.
 */
public final class Fingerprint {
  private static final long SAMPLE = 4096;

  private Fingerprint() {}

  public static String of(Checkpoint checkpoint) {
    MessageDigest digest = sha256();
    try {
      digest.update(Files.readAllBytes(checkpoint.folder().resolve(Checkpoint.CONFIG_FILE)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      String header = tensor.name() + tensor.dtype() + tensor.shape();
      digest.update(header.getBytes(StandardCharsets.UTF_8));
      try (Arena arena = Arena.ofConfined()) {
        ByteBuffer sample =
            Checkpoint.map(tensor, arena)
                .data()
                .asSlice(0, Math.min(SAMPLE, tensor.bytes()))
                .asByteBuffer();
        digest.update(sample);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** SHA-256 of a text. */
  public static String of(String text) {
    return HexFormat.of().formatHex(sha256().digest(text.getBytes(StandardCharsets.UTF_8)));
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
