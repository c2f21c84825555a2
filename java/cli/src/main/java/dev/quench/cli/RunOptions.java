package dev.quench.cli;

import dev.quench.InvalidInputException;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.pipeline.Resources;
import dev.quench.progress.ProgressListener;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Options of all commands that compute. */
final class RunOptions {
  /** Where operations run. */
  enum DeviceKind {
    AUTO,
    CPU,
    CUDA
  }

  @Option(
      names = "--device",
      defaultValue = "auto",
      description = "auto or cpu (default: auto).",
      paramLabel = "DEVICE")
  private DeviceKind device = DeviceKind.AUTO;

  @Option(
      names = "--threads",
      description = "Worker threads (default: one per processor). Results don't depend on it.",
      paramLabel = "N")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(names = "--json", description = "Events and results as JSON, one object a line.")
  private boolean json;

  @Option(
      names = "--activation-memory",
      converter = ByteSize.Converter.class,
      description =
          "Most memory for activations, such as 8GB; more goes to a temporary file (default: half of the machine's).",
      paramLabel = "SIZE")
  private @Nullable ByteSize activationMemory;

  Device open() {
    if (device == DeviceKind.CUDA) {
      throw new InvalidInputException("--device cuda: this version has no CUDA device; use cpu.");
    }
    if (threads < 1 || threads > 1024) {
      throw new InvalidInputException("--threads must be from 1 to 1024, not " + threads + ".");
    }
    return new CpuDevice(threads);
  }

  boolean json() {
    return json;
  }

  Resources resources(Path spillFolder) {
    long memory = activationMemory == null ? SystemMemory.total() / 2 : activationMemory.bytes();
    return new Resources(memory, spillFolder);
  }

  /** For jobs that have no output folder. */
  Resources resources() {
    return resources(Path.of(System.getProperty("java.io.tmpdir")));
  }

  ProgressListener progress() {
    if (json) {
      return new JsonProgress(System.err);
    }
    return TerminalProgress.isTerminal() ? new TerminalProgress() : new PlainProgress(System.err);
  }
}
