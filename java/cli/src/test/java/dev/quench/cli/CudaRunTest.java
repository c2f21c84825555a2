package dev.quench.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.quench.cuda.CudaTests;
import dev.quench.cuda.standin.StandIn;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The program on the CUDA device, which the stand-in plays. */
class CudaRunTest {
  private static final JsonMapper JSON = new JsonMapper();

  @TempDir private static Path temp;
  private static Path model = Path.of("");
  private static Path rows = Path.of("");
  private static Map<String, String> standIn = Map.of();

  @BeforeAll
  static void prepare() throws IOException {
    StandIn.missingPrograms().ifPresent(CudaTests::missing);
    standIn = StandIn.environment(Path.of("../cuda/target/standin"));
    model = new TinyModel(2).write(temp.resolve("model"));
    rows = TinyModel.writeRows(temp.resolve("rows.jsonl"), 8, 32);
  }

  private static Map<String, String> with(String name, String value) {
    Map<String, String> environment = new HashMap<>(standIn);
    environment.put(name, value);
    return environment;
  }

  private static Object[] rtn(String device, Path output) {
    return new Object[] {"compress", model, "--scheme", "W4A16", "--device", device, "-o", output};
  }

  private static Object[] gptq(String device, Path output) {
    return Quench.with(rtn(device, output), "--method", "gptq", "--calibration", rows);
  }

  @Test
  void roundingGivesTheSameFilesAsOnTheCpu() {
    Path cuda = temp.resolve("rtn-cuda");
    Path cpu = temp.resolve("rtn-cpu");
    Quench.runWith(standIn, rtn("cuda", cuda)).succeeded();
    Quench.run(rtn("cpu", cpu)).succeeded();
    assertThat(Folders.sha256(cuda)).isEqualTo(Folders.sha256(cpu));
  }

  /** What the two devices make of a model differs by the rounding of sums. */
  @Test
  void gptqAndPerplexity() {
    Path cuda = temp.resolve("gptq-cuda");
    Quench.runWith(standIn, gptq("cuda", cuda)).succeeded();
    assertThat(Quench.run("verify", cuda).succeeded().out()).contains("is sound");
    double here = perplexity(Quench.run(evaluate("cpu", cuda)));
    double there = perplexity(Quench.runWith(standIn, evaluate("cuda", cuda)));
    assertThat(there).isCloseTo(here, within(1e-4 * here));
  }

  private static Object[] evaluate(String device, Path folder) {
    return new Object[] {
      "evaluate", folder, "--text", rows, "--sequence-length", "32", "--json", "--device", device
    };
  }

  private static double perplexity(Quench.Result result) {
    return JSON.readTree(result.succeeded().out()).path("perplexity").asDouble();
  }

  /** In the second layer: eight blocks of columns are solved in the first. */
  @Test
  void aKernelThatFailsEndsTheRunWhichCanBeResumed() {
    Path whole = temp.resolve("whole");
    Path broken = temp.resolve("broken");
    Quench.runWith(standIn, gptq("cuda", whole)).succeeded();

    Quench.Result failed =
        Quench.runWith(
            with("STANDIN_FAIL", "kernel:quench_gptq_block_i8:11"), gptq("cuda", broken));
    failed.failed(Main.FAILED, "quench_gptq_block_i8<<<", "I8 [128, ", "CUDA_ERROR_LAUNCH_FAILED");
    assertThat(failed.err()).contains("the same command with --resume goes on");

    Quench.Result resumed =
        Quench.runWith(standIn, Quench.with(gptq("cuda", broken), "--resume")).succeeded();
    assertThat(resumed.err()).contains("Resuming after layer 1");
    assertThat(Folders.sha256(broken)).isEqualTo(Folders.sha256(whole));
  }

  @Test
  void anOrderToRunOnCudaIsRefusedWithTheReason() {
    Path output = temp.resolve("refused");
    Quench.run(rtn("cuda", output)).failed(Main.INVALID, "--device cuda", "no NVIDIA driver");
    Quench.runWith(with("STANDIN_CAPABILITY", "75"), rtn("cuda", output))
        .failed(Main.INVALID, "--device cuda", "compute capability 8.0");
    Quench.runWith(with("STANDIN_DRIVER_VERSION", "11080"), rtn("cuda", output))
        .failed(Main.INVALID, "--device cuda", "CUDA 11.8", "CUDA 12.0 or later");
    Folders.assertNothingLeft(output);
  }

  @Test
  void anAutomaticChoiceSaysWhy() {
    Path output = temp.resolve("auto");
    assertThat(Quench.run(rtn("auto", output)).succeeded().err())
        .contains("Computing on the CPU: there is no NVIDIA driver");
    assertThat(Quench.runWith(standIn, rtn("auto", temp.resolve("auto2"))).succeeded().err())
        .contains("Computing on the CPU: the only GPU is Quench's stand-in");
  }

  @Test
  void memoryThatIsTooSmallIsRefusedBeforehand() {
    Path output = temp.resolve("small");
    Object[] args = Quench.with(gptq("cuda", output), "--gpu-memory", "1MB");
    Quench.runWith(standIn, args).failed(Main.INVALID, "GPU memory", "--gpu-memory");
    Quench.run(Quench.with(rtn("cpu", output), "--gpu-memory", "1GB"))
        .failed(Main.INVALID, "--gpu-memory is for a GPU");
    Quench.runWith(standIn, Quench.with(rtn("cuda", output), "--gpu-memory", "900GB"))
        .failed(Main.INVALID, "--gpu-memory", "stand-in");
    Folders.assertNothingLeft(output);
  }

  @Test
  void thePlanCountsTheMemoryOfTheGpu() {
    Path output = temp.resolve("plan");
    JsonNode plan =
        JSON.readTree(
            Quench.runWith(standIn, Quench.with(gptq("cuda", output), "--dry-run", "--json"))
                .succeeded()
                .out());
    assertThat(plan.path("gpu_memory_bytes").asLong()).isPositive();
    JsonNode cpu =
        JSON.readTree(
            Quench.run(Quench.with(gptq("cpu", output), "--dry-run", "--json")).succeeded().out());
    assertThat(cpu.path("gpu_memory_bytes").asLong()).isZero();
  }

  @Test
  void doctorDescribesTheDeviceAndTheKernels() {
    assertThat(Quench.runWith(standIn, "doctor").succeeded().out())
        .contains("stand-in (no GPU), compute capability 9.0, driver for CUDA 12.0")
        .containsPattern("CUDA kernels +[0-9]+ kernels, PTX 8\\.0, nvcc ");
    assertThat(Quench.run("doctor").succeeded().out())
        .contains("not used: there is no NVIDIA driver");
  }
}
