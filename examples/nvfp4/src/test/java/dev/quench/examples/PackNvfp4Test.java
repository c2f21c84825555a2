package dev.quench.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.quench.cuda.CudaDevice;
import dev.quench.cuda.CudaTests;
import dev.quench.cuda.standin.StandIn;
import dev.quench.device.ReferenceDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The example as somebody starts it, on the stand-in. */
class PackNvfp4Test {
  private static final long ROWS = 2;
  private static final long COLUMNS = 32;
  private static final QuantizationArgs NVFP4 =
      PresetSchemes.find("NVFP4A16").orElseThrow().weights().orElseThrow();

  @Test
  void printsWhatTheReferenceMakesOfTheNumbers() throws IOException, InterruptedException {
    assumeTrue(CudaDevice.supports(NVFP4), "there are no kernels for NVFP4");
    StandIn.missingPrograms().ifPresent(CudaTests::missing);
    assertThat(run(StandIn.environment(Path.of("../../java/cuda/target/standin"))))
        .isEqualTo(expected());
  }

  private static String run(Map<String, String> environment)
      throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(
            ProcessHandle.current().info().command().orElseThrow(),
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            PackNvfp4.class.getName());
    builder.environment().putAll(environment);
    builder.redirectError(ProcessBuilder.Redirect.INHERIT);
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    return output;
  }

  private static String expected() {
    try (ReferenceDevice device = new ReferenceDevice();
        Scope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      float[] numbers = new float[(int) (ROWS * COLUMNS)];
      float largest = 0;
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = (float) Math.sin(i);
        largest = Math.max(largest, Math.abs(numbers[i]));
      }
      float globalScale = GlobalScale.of(largest, DType.F32);
      Tensor x =
          scope.upload(
              new HostTensor(
                  DType.F32,
                  Shape.of(ROWS, COLUMNS),
                  arena.allocateFrom(ValueLayout.JAVA_FLOAT, numbers)));
      Tensor scale = scope.allocate(DType.F8_E4M3, ROWS, COLUMNS / 16);
      Tensor zeroPoint = scope.allocate(DType.I8, ROWS, COLUMNS / 16);
      Tensor codes = scope.allocate(DType.U8, ROWS, COLUMNS / 2);
      device.quantizeToNearest(x, NVFP4, globalScale, scale, zeroPoint, codes);
      return "weight_packed %s%nweight_scale %s%nweight_global_scale %s%n"
          .formatted(hex(device, codes, arena), hex(device, scale, arena), globalScale);
    }
  }

  private static String hex(ReferenceDevice device, Tensor tensor, Arena arena) {
    HostTensor host = device.onHost(tensor, Shape.of(tensor.rows(), tensor.columns()), arena);
    return HexFormat.of().formatHex(host.data().toArray(ValueLayout.JAVA_BYTE));
  }
}
