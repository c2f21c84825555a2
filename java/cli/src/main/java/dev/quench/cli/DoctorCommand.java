package dev.quench.cli;

import dev.quench.cuda.CudaKernels;
import dev.quench.cuda.CudaProbe;
import dev.quench.cuda.CudaProperties;
import dev.quench.device.CpuDevice;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code quench doctor}. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description = "Prints what was found on this machine, and what is used.")
final class DoctorCommand implements Callable<Integer> {
  /** Processor features that kernels are chosen by. */
  private static final List<String> FLAGS =
      List.of(
          "avx2", "fma", "bmi2", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_bf16");

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    int processors = Runtime.getRuntime().availableProcessors();
    TextTable table = new TextTable("Quench", new Main.Version().getVersion()[0]);
    table.row("Java", System.getProperty("java.vm.name") + " " + Runtime.version());
    table.row("system", System.getProperty("os.name") + " " + System.getProperty("os.arch"));
    table.row("processor", cpuInfo("model name").orElse("unknown") + ", " + processors + " used");
    table.row("features", features());
    table.row("memory", ByteSize.format(SystemMemory.total()));
    try (CpuDevice device = new CpuDevice(processors)) {
      table.row("device cpu", device.description());
    }
    table.row("device cuda", cuda());
    table.row("CUDA kernels", CudaKernels.inJar().toString());
    table.print(out);
    return Main.DONE;
  }

  private static String cuda() {
    return switch (CudaProbe.first()) {
      case CudaProbe.Usable(CudaProperties device, CudaKernels _) ->
          device + ", " + ByteSize.format(device.memory());
      case CudaProbe.Unusable(String reason) -> "not used: " + reason;
    };
  }

  private static String features() {
    List<String> present =
        cpuInfo("flags").map(flags -> List.of(flags.split(" "))).orElse(List.of());
    List<String> used = FLAGS.stream().filter(present::contains).toList();
    return used.isEmpty() ? "unknown" : String.join(" ", used);
  }

  private static Optional<String> cpuInfo(String key) {
    Path file = Path.of("/proc/cpuinfo");
    if (!Files.isReadable(file)) {
      return Optional.empty();
    }
    try (Stream<String> lines = Files.lines(file)) {
      return lines
          .filter(line -> line.startsWith(key))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst();
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
