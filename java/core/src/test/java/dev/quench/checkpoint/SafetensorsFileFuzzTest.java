package dev.quench.checkpoint;

import static dev.quench.checkpoint.RawFiles.counting;
import static dev.quench.checkpoint.RawFiles.entry;
import static dev.quench.checkpoint.RawFiles.header;
import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.InvalidInputException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/** Whatever the bytes are, a file is either refused as bad input or consistent. */
class SafetensorsFileFuzzTest {
  private static final byte[] VALID =
      RawFiles.bytes(
          header(
              "'__metadata__':{'format':'pt'}",
              entry("a.weight", "BF16", "[2,3]", 0, 12),
              entry("b", "F4", "[2]", 12, 13),
              entry("c", "F32", "[]", 13, 17)),
          counting(0, 17));

  private static Path folder = Path.of("");

  @BeforeContainer
  static void createFolder() throws IOException {
    folder = Files.createTempDirectory("quench-fuzz");
  }

  @AfterContainer
  static void deleteFolder() throws IOException {
    Files.deleteIfExists(folder.resolve("f.safetensors"));
    Files.delete(folder);
  }

  @Property(tries = 150, seed = "1")
  void randomBytes(@ForAll @Size(max = 64) byte[] bytes) {
    openOrRefuse(bytes);
  }

  @Property(tries = 150, seed = "1")
  void randomHeaderOfTheRightLength(@ForAll @Size(min = 2, max = 64) byte[] header) {
    openOrRefuse(
        ByteBuffer.allocate(8 + header.length)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(header.length)
            .put(header)
            .array());
  }

  @Property(tries = 600, seed = "1")
  void flippedBits(@ForAll @Size(min = 1, max = 3) List<@IntRange(max = 2047) Integer> bits) {
    byte[] bytes = VALID.clone();
    for (int bit : bits) {
      bytes[(bit / 8) % bytes.length] ^= (byte) (1 << (bit % 8));
    }
    openOrRefuse(bytes);
  }

  @Property(tries = 300, seed = "1")
  void replacedBytes(
      @ForAll @IntRange(min = 8, max = 255) int at,
      @ForAll("jsonCharacters") char replacement,
      @ForAll @IntRange(max = 3) int length) {
    byte[] bytes = VALID.clone();
    for (int i = at; i < Math.min(at + length, bytes.length); i++) {
      bytes[i] = (byte) replacement;
    }
    openOrRefuse(bytes);
  }

  @Provide
  Arbitrary<Character> jsonCharacters() {
    return Arbitraries.of(
        '{', '}', '[', ']', '"', ',', ':', '-', '.', 'e', '0', '9', ' ', '\\', 'n', (char) 0);
  }

  @Property(tries = 100, seed = "1")
  void truncated(@ForAll @IntRange(max = 500) int length) {
    byte[] bytes = Arrays.copyOf(VALID, Math.min(length, VALID.length - 1));
    assertThat(openOrRefuse(bytes)).as("a truncated file was taken for complete").isFalse();
  }

  /** True if it could be opened; then every tensor can be mapped and the data is covered. */
  private static boolean openOrRefuse(byte[] bytes) {
    Path path = RawFiles.write(folder.resolve("f.safetensors"), bytes);
    SafetensorsFile file;
    try {
      file = SafetensorsFile.open(path);
    } catch (InvalidInputException refused) {
      assertThat(refused).hasMessageContaining(path.toString());
      return false;
    }
    long covered = 0;
    try (Arena arena = Arena.ofConfined()) {
      for (TensorInfo tensor : file.tensors().values()) {
        covered += Checkpoint.map(tensor, arena).data().byteSize();
      }
    }
    long headerLength = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    assertThat(covered).isEqualTo(bytes.length - 8 - headerLength);
    return true;
  }
}
