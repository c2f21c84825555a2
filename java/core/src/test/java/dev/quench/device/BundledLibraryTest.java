package dev.quench.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.QuenchException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** With a small library of the jar that holds oneDNN. */
final class BundledLibraryTest {
  private static final String FOLDER = "org/bytedeco/dnnl/linux-x86_64";
  private static final String FILE = "libgomp.so.1";

  @TempDir Path cache;

  @AfterEach
  void restore() {
    System.clearProperty(BundledLibrary.CACHE_PROPERTY);
  }

  @Test
  void unpacksOnceAndRepairsWhatIsIncomplete() throws IOException {
    System.setProperty(BundledLibrary.CACHE_PROPERTY, cache.toString());
    Path folder = BundledLibrary.unpack("test", FOLDER, List.of(FILE));
    Path library = folder.resolve(FILE);
    byte[] content = Files.readAllBytes(library);
    assertThat(content).startsWith(0x7f, 'E', 'L', 'F');
    FileTime old = FileTime.from(Instant.EPOCH);
    Files.setLastModifiedTime(library, old);

    assertThat(BundledLibrary.unpack("test", FOLDER, List.of(FILE))).isEqualTo(folder);
    assertThat(Files.getLastModifiedTime(library)).isEqualTo(old);

    Files.write(library, new byte[] {1, 2, 3});
    BundledLibrary.unpack("test", FOLDER, List.of(FILE));
    assertThat(library).hasBinaryContent(content);
    try (var files = Files.list(folder)) {
      assertThat(files).containsExactly(library);
    }
  }

  @Test
  void saysWhatToDoIfTheCacheCannotBeWritten() throws IOException {
    Path file = Files.createFile(cache.resolve("file"));
    System.setProperty(BundledLibrary.CACHE_PROPERTY, file.resolve("below").toString());
    assertThatThrownBy(() -> BundledLibrary.unpack("test", FOLDER, List.of(FILE)))
        .isInstanceOf(QuenchException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining("QUENCH_CACHE");
  }

  @Test
  void namesTheResourceThatIsMissing() {
    assertThatThrownBy(() -> BundledLibrary.unpack("test", "nowhere", List.of(FILE)))
        .isInstanceOf(QuenchException.class)
        .hasMessage("no nowhere/libgomp.so.1 on the class path");
  }
}
