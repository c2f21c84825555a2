package dev.quench.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class ComputeTest {
  private static final LinearSpec LINEAR = new LinearSpec("linear", 2, 3, false);

  /**
   * Codes of 8 bits, a scale of 2·max/255 a row (here 1 and ½), and a weight that picks columns.
   */
  @Test
  void quantizesTheRowsOfAnInput() {
    QuantizationArgs args =
        PresetSchemes.find("W8A8").orElseThrow().inputActivations().orElseThrow();
    try (Device device = new CpuDevice(1);
        Scope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      Tensor x = matrix(scope, arena, 2, 3, 127.5f, 3.4f, -9.6f, 63.75f, 3.4f, -9.6f);
      Tensor weight = matrix(scope, arena, 2, 3, 0, 1, 0, 0, 0, 1);
      LayerWeights weights = new LayerWeights(Map.of(LINEAR.weight(), weight));
      Compute plain = new Compute(device, DType.F32);
      Compute quantizing =
          new Compute(device, DType.F32, Map.of("linear", ActivationQuantization.ofRows(args)));

      assertThat(product(plain, x, weights, scope, arena))
          .containsExactly(3.4f, -9.6f, 3.4f, -9.6f);
      assertThat(product(quantizing, x, weights, scope, arena))
          .containsExactly(3f, -10f, 3.5f, -9.5f);
    }
  }

  @Test
  void refusesKnownRangesWithoutScales() {
    QuantizationArgs weights = PresetSchemes.find("W8A8").orElseThrow().weights().orElseThrow();
    assertThatThrownBy(() -> ActivationQuantization.ofRows(weights))
        .hasMessageContaining("0 scales");
  }

  private static float[] product(
      Compute compute, Tensor x, LayerWeights weights, Scope scope, Arena arena) {
    Tensor y = compute.linear(LINEAR, x, weights, scope);
    HostTensor host = compute.device().onHost(y, Shape.of(2, 2), arena);
    return host.data().toArray(ValueLayout.JAVA_FLOAT);
  }

  private static Tensor matrix(Scope scope, Arena arena, long rows, long columns, float... values) {
    MemorySegment memory = arena.allocate(rows * columns * Float.BYTES, 64);
    MemorySegment.copy(values, 0, memory, ValueLayout.JAVA_FLOAT, 0, values.length);
    return scope.upload(new HostTensor(DType.F32, Shape.of(rows, columns), memory));
  }
}
