package dev.quench.bench;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.cuda.CudaTests;
import dev.quench.cuda.standin.StandIn;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs each workload once on the stand-in, where nothing is timed. */
class CudaWorkloadTest {
  private static final String MANIFEST = "/dev/quench/cuda/kernels/manifest.json";

  private static Map<String, String> standIn = Map.of();

  @BeforeAll
  static void prepare() throws IOException {
    StandIn.missingPrograms().ifPresent(CudaTests::missing);
    standIn = StandIn.environment(Path.of("../java/cuda/target/standin"));
  }

  @Test
  void eachLaunchesTheKernelsThatItClaimsToOnHopper() throws IOException, InterruptedException {
    assertThat(launchesOn("90")).isEqualTo(claimedFor(90));
  }

  @Test
  void eachLaunchesTheKernelsThatItClaimsToOnAmpere() throws IOException, InterruptedException {
    assertThat(launchesOn("80")).isEqualTo(claimedFor(80));
  }

  /** But for the one that tests of the driver launch. */
  @Test
  void everyKernelIsInTheList() throws IOException {
    TreeSet<String> kernels = new TreeSet<>();
    try (var stream = CudaWorkloadTest.class.getResourceAsStream(MANIFEST)) {
      JsonNode manifest = JsonMapper.shared().readTree(stream);
      for (JsonNode image : manifest.path("images")) {
        image.path("kernels").forEach(kernel -> kernels.add(kernel.path("name").asString()));
      }
    }
    kernels.remove("quench_probe_i32");
    TreeSet<String> listed = new TreeSet<>();
    for (CudaWorkload workload : CudaWorkload.values()) {
      workload.operation().work(CudaSizes.SMALL).forEach(work -> listed.add(work.kernel()));
    }
    assertThat(listed).isEqualTo(kernels);
  }

  @Test
  void benchmarksRefuseToMeasureTheStandIn() throws IOException, InterruptedException {
    Process process = start(CudaKernelBenchmark.class, "90", "-f", "0", "-p", "workload=ADD");
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    process.waitFor();
    assertThat(output).contains("nothing to measure: Quench CPU stand-in");
  }

  private static Map<CudaWorkload, Map<String, Long>> claimedFor(int capability) {
    Map<CudaWorkload, Map<String, Long>> claimed = new EnumMap<>(CudaWorkload.class);
    for (CudaWorkload workload : CudaWorkload.values()) {
      if (workload.runsOn(capability)) {
        Map<String, Long> launches = new TreeMap<>();
        workload
            .operation()
            .work(CudaSizes.SMALL)
            .forEach(work -> launches.merge(work.kernel(), work.launches(), Long::sum));
        claimed.put(workload, launches);
      }
    }
    return claimed;
  }

  /** What the stand-in traces between the begin and the end of each workload. */
  private static Map<CudaWorkload, Map<String, Long>> launchesOn(String capability)
      throws IOException, InterruptedException {
    Process process = start(CudaWorkloadProgram.class, capability);
    Map<CudaWorkload, Map<String, Long>> launches = new EnumMap<>(CudaWorkload.class);
    Map<String, Long> current = new HashMap<>();
    List<String> rest = new ArrayList<>();
    for (String line : new String(process.getInputStream().readAllBytes(), UTF_8).split("\n")) {
      if (line.startsWith(CudaWorkloadProgram.BEGIN)) {
        current = new TreeMap<>();
      } else if (line.startsWith(CudaWorkloadProgram.END)) {
        String name = line.substring(CudaWorkloadProgram.END.length());
        launches.put(CudaWorkload.valueOf(name), current);
        current = new HashMap<>(); // what operands are made with
      } else if (line.contains("quench_")) {
        String kernel = line.replaceAll(".*?(quench_[a-z0-9_]+).*", "$1");
        current.merge(kernel, 1L, Long::sum);
      } else {
        rest.add(line);
      }
    }
    assertThat(process.waitFor()).as(String.join("\n", rest)).isZero();
    return launches;
  }

  private static Process start(Class<?> program, String capability, String... arguments)
      throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                ProcessHandle.current().info().command().orElseThrow(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                program.getName()));
    command.addAll(Arrays.asList(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().putAll(standIn);
    builder.environment().put("STANDIN_TRACE", "1");
    builder.environment().put("STANDIN_CAPABILITY", capability);
    return builder.redirectErrorStream(true).start();
  }
}
