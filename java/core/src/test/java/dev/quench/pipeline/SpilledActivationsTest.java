package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.quench.QuenchException;
import dev.quench.calibration.Batch;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.model.Architecture;
import dev.quench.model.ArchitectureReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SpilledActivationsTest {
  @TempDir Path folder;

  /** 1 MiB of activations on a disk of 256 KiB: pages of a sparse file would fault when written. */
  @Test
  void aFullDiskIsToldBeforeTheWork() throws Exception {
    Architecture architecture = ArchitectureReader.read(Checkpoint.open(Golden.BASE));
    int tokens = Math.toIntExact((1 << 20) / (Float.BYTES * architecture.hiddenSize()));
    List<Batch> batches = Batch.of(List.of(new int[tokens]), tokens);
    assumeTrue(run("mount", "-t", "tmpfs", "-o", "size=256k", "quench", folder.toString()));
    try (Device device = new CpuDevice(1)) {
      assertThatThrownBy(
              () ->
                  ActivationStore.open(
                      device,
                      architecture,
                      batches,
                      ActivationStore.Side.TRANSIENT,
                      new Resources(0, folder)))
          .isInstanceOf(QuenchException.class)
          .hasMessageContainingAll("activations", folder.toString(), "1048576 bytes");
      try (Stream<Path> left = Files.list(folder)) {
        assertThat(left).isEmpty();
      }
    } finally {
      run("umount", folder.toString());
    }
  }

  private static boolean run(String... command) throws InterruptedException {
    try {
      return new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start()
              .waitFor()
          == 0;
    } catch (IOException _) {
      return false; // no such program
    }
  }
}
