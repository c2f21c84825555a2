package dev.quench.cli;

import dev.quench.device.Device;
import dev.quench.pipeline.Resources;
import dev.quench.progress.ProgressListener;
import java.nio.file.Path;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options of all commands that compute. */
final class RunOptions {
  @Option(
      names = "--device",
      defaultValue = "auto",
      description =
          "auto: a GPU where there is one that can be used, else the CPU; or cuda, cpu, or reference, which is slow and defines the results (default: auto).",
      paramLabel = "DEVICE")
  private DeviceChoice.Kind device = DeviceChoice.Kind.AUTO;

  @Option(
      names = "--gpu-memory",
      converter = ByteSize.Converter.class,
      description = "Most memory of the GPU to take, such as 40GB (default: what is free).",
      paramLabel = "SIZE")
  private @Nullable ByteSize gpuMemory;

  @Mixin private ThreadOptions threads = new ThreadOptions();

  @Option(names = "--json", description = "Events and results as JSON, one object a line.")
  private boolean json;

  @Option(
      names = "--activation-memory",
      converter = ByteSize.Converter.class,
      description =
          "Most memory for activations, such as 8GB; more goes to a temporary file (default: half of the machine's).",
      paramLabel = "SIZE")
  private @Nullable ByteSize activationMemory;

  Device open(ProgressListener listener) {
    int count = threads.count();
    OptionalLong limit =
        gpuMemory == null ? OptionalLong.empty() : OptionalLong.of(gpuMemory.bytes());
    return new DeviceChoice(device, count, limit).open(listener);
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
