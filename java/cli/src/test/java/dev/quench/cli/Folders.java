package dev.quench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** What is in folders. */
final class Folders {
  private Folders() {}

  /** SHA-256 of all files of a folder, by their path in it; of none if it doesn't exist. */
  static Map<String, String> sha256(Path folder) {
    Map<String, String> digests = new TreeMap<>();
    if (!Files.exists(folder)) {
      return digests;
    }
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
        digests.put(folder.relativize(file).toString(), HexFormat.of().formatHex(digest));
      }
      return digests;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The folder in which an output is made. */
  static Path partial(Path output) {
    return output.resolveSibling(output.getFileName() + ".partial");
  }

  /** Checks that a run left nothing of its output. */
  static void assertNothingLeft(Path output) {
    assertThat(output).doesNotExist();
    assertThat(partial(output)).doesNotExist();
  }
}
