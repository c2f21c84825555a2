package dev.quench.modifier;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.QuenchException;
import dev.quench.calibration.Hessian;
import dev.quench.device.Device;
import dev.quench.device.ReferenceDevice;
import dev.quench.device.Scope;
import java.util.Arrays;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A matrix of ones but for 1 − ε on the diagonal has the eigenvalue −ε, n − 1 times, and n − ε. So
 * damping by λ·(1 − ε) makes it positive definite exactly if λ·(1 − ε) &gt; ε.
 */
class GptqPrepareTest {
  private static final int N = 24;

  @ParameterizedTest
  @CsvSource({
    "-0.1, 0", // positive definite as it is
    "0.005, 0", // 0.01 · 0.995 > 0.005
    "0.05, 1", // 0.01 · 0.95 < 0.05 < 0.1 · 0.95
    "0.3, 2", // 0.1 · 0.7 < 0.3 < 1 · 0.7
    "0.8, 3", // 1 · 0.2 < 0.8 < 10 · 0.2
  })
  void raisesTheDampingTenfoldUntilItIsEnough(float epsilon, int dampings) {
    try (Device device = new ReferenceDevice();
        Scope scope = device.openScope()) {
      Hessian hessian = ones(device, 1 - epsilon, scope);

      assertThat(prepare(device, hessian, true, scope)).map(Gptq::dampings).contains(dampings);
      assertThat(prepare(device, hessian, false, scope)).map(Gptq::dampings).contains(dampings);
    }
  }

  /** 10 · 0.05 &lt; 0.95. */
  @Test
  void givesUpAfterAThousandfold() {
    try (Device device = new ReferenceDevice();
        Scope scope = device.openScope()) {
      Hessian hessian = ones(device, 0.05f, scope);

      assertThat(prepare(device, hessian, true, scope)).isEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY})
  void namesTheChannelThatIsNotFinite(float value) {
    try (Device device = new ReferenceDevice();
        Scope scope = device.openScope()) {
      Hessian hessian = new Hessian(device, N, scope);
      float[] diagonal = new float[N];
      Arrays.fill(diagonal, 1);
      diagonal[7] = value;
      device.setDiagonal(scope.floats(diagonal), hessian.sum());

      assertThatThrownBy(() -> prepare(device, hessian, true, scope))
          .isInstanceOf(QuenchException.class)
          .hasMessageStartingWith("some.module: input channel 7 holds NaN or infinite values");
    }
  }

  private static Hessian ones(Device device, float diagonal, Scope scope) {
    Hessian hessian = new Hessian(device, N, scope);
    float[] values = new float[N];
    Arrays.fill(values, 1);
    hessian.add(scope.floats(values), 1);
    Arrays.fill(values, diagonal);
    device.setDiagonal(scope.floats(values), hessian.sum());
    return hessian;
  }

  private static Optional<Gptq> prepare(
      Device device, Hessian hessian, boolean actOrder, Scope scope) {
    return Gptq.prepare(device, Gptq.Options.DEFAULT, hessian, actOrder, "some.module", scope);
  }
}
