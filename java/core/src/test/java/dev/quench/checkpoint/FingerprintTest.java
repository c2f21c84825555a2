package dev.quench.checkpoint;

import static dev.quench.checkpoint.RawFiles.counting;
import static dev.quench.checkpoint.RawFiles.entry;
import static dev.quench.checkpoint.RawFiles.header;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FingerprintTest {
  private static final int LENGTH = 20_000;

  @TempDir Path folder;

  @Test
  void isTheSameForACopyElsewhere() {
    String fingerprint = of("x", "a", "[20000]", counting(0, LENGTH));

    assertThat(of("y", "a", "[20000]", counting(0, LENGTH))).isEqualTo(fingerprint);
    assertThat(fingerprint).matches("[0-9a-f]{64}");
  }

  @Test
  void noticesAnotherConfigurationNameShapeStartOrEnd() throws IOException {
    String fingerprint = of("x", "a", "[20000]", counting(0, LENGTH));

    assertThat(of("y", "b", "[20000]", counting(0, LENGTH))).isNotEqualTo(fingerprint);
    assertThat(of("y", "a", "[2,10000]", counting(0, LENGTH))).isNotEqualTo(fingerprint);
    for (int at : new int[] {0, 4095, LENGTH - 4096, LENGTH - 1}) {
      byte[] changed = counting(0, LENGTH);
      changed[at]++;
      assertThat(of("y", "a", "[20000]", changed)).as("byte %d", at).isNotEqualTo(fingerprint);
    }
    Files.writeString(folder.resolve("x/config.json"), "{\"a\":1}");
    assertThat(Fingerprint.of(Checkpoint.open(folder.resolve("x")))).isNotEqualTo(fingerprint);
  }

  /** The standard's example (FIPS 180-2, appendix B.1). */
  @Test
  void ofTextIsSha256() {
    assertThat(Fingerprint.of("abc"))
        .isEqualTo("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  }

  private String of(String model, String tensor, String shape, byte[] data) {
    Path path = folder.resolve(model);
    try {
      Files.createDirectories(path);
      Files.writeString(path.resolve("config.json"), "{}");
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
    RawFiles.write(
        path.resolve("model.safetensors"), header(entry(tensor, "U8", shape, 0, LENGTH)), data);
    return Fingerprint.of(Checkpoint.open(path));
  }
}
