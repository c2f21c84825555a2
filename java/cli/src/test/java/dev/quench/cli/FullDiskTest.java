package dev.quench.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Outputs for which there is no room leave nothing. */
class FullDiskTest {
  @TempDir private Path temp;
  private Path model = Path.of("");
  private Map<String, String> modelFiles = Map.of();

  @BeforeEach
  void writeModel() throws IOException {
    // 288 KiB of linears a layer, 144 as int8: 2.8 MiB in all
    model = new TinyModel(20).write(temp.resolve("model"));
    modelFiles = Folders.sha256(model);
  }

  /** A limit on the size of files: writing beyond it fails as it does on a full disk. */
  @Test
  void writingFails() {
    Path output = temp.resolve("out");
    List<String> command =
        new ArrayList<>(List.of("bash", "-c", "ulimit -f 1024; exec \"$@\"", "-"));
    command.addAll(Quench.command("compress", model, "--scheme", "W8A16", "-o", output));
    Quench.run(command)
        .failed(1, "out.partial/model.safetensors can't be written", "File too large");
    Folders.assertNothingLeft(output);
    assertThat(Folders.sha256(model)).isEqualTo(modelFiles);
  }

  @Test
  void tooSmall() throws Exception {
    Path disk = Files.createDirectories(temp.resolve("disk"));
    ProcessBuilder mount =
        new ProcessBuilder("mount", "-t", "tmpfs", "-o", "size=1m", "quench", disk.toString())
            .redirectErrorStream(true)
            .redirectOutput(temp.resolve("mount.log").toFile());
    boolean mounted;
    try {
      mounted = mount.start().waitFor() == 0;
    } catch (IOException _) {
      mounted = false;
    }
    assumeTrue(mounted, "only root can mount a small disk");
    try {
      Path output = disk.resolve("out");
      Quench.runShort("compress", model, "--scheme", "W8A16", "-o", output)
          .failed(2, output.toString(), "bytes of disk", "are free");
      Folders.assertNothingLeft(output);
      assertThat(Folders.sha256(model)).isEqualTo(modelFiles);
    } finally {
      new ProcessBuilder("umount", disk.toString()).start().waitFor();
    }
  }
}
