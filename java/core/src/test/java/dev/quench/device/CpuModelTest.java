package dev.quench.device;

import static dev.quench.device.Matrices.gamma;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.tensor.DType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What {@link DeviceParityTest} doesn't ask: numbers that aren't, sizes of real models, misuse. */
final class CpuModelTest {
  private final CpuDevice device = new CpuDevice(2);
  private final Scope scope = device.openScope();

  @AfterEach
  void close() {
    scope.close();
    device.close();
  }

  /** Wherever it stands: in the part of whole vectors or in the rest. */
  @Test
  void normSpreadsNanOverItsRowOnly() {
    for (int column : new int[] {0, 17, 66}) {
      HostMatrix x = Matrices.random(scope, 3, 67, 0, 1);
      HostMatrix y = Matrices.random(scope, 3, 67, 0, 2);
      Matrices.set(x, 1, column, Float.NaN);
      device.rmsNorm(x, Matrices.random(scope, 1, 67, 0, 3), 1e-5f, y);
      for (int c = 0; c < 67; c++) {
        assertThat(FloatAccess.get(y, 0, c)).isNotNaN();
        assertThat(FloatAccess.get(y, 1, c)).isNaN();
        assertThat(FloatAccess.get(y, 2, c)).isNotNaN();
      }
    }
  }

  @Test
  void activationKeepsNanWhereItIs() {
    HostMatrix gate = Matrices.random(scope, 1, 67, 0, 1);
    HostMatrix up = Matrices.random(scope, 1, 67, 0, 2);
    HostMatrix y = Matrices.random(scope, 1, 67, 0, 3);
    Matrices.set(gate, 0, 3, Float.intBitsToFloat(0x7FC00123));
    Matrices.set(gate, 0, 66, Float.NaN);
    Matrices.set(up, 0, 9, Float.NaN);
    device.gatedActivation(Activation.SILU, gate, up, y);
    for (int c = 0; c < 67; c++) {
      assertThat(Float.isNaN(FloatAccess.get(y, 0, c)))
          .as("column %d", c)
          .isEqualTo(c == 3 || c == 66 || c == 9);
    }
  }

  /** A query's NaN is its own; a key's reaches the queries that see it, and no other sequence. */
  @Test
  void attentionSpreadsNanToWhoSeesIt() {
    HostMatrix q = Matrices.random(scope, 150, 16, 0, 1);
    HostMatrix k = Matrices.random(scope, 150, 16, 0, 2);
    HostMatrix v = Matrices.random(scope, 150, 16, 0, 3);
    HostMatrix y = Matrices.random(scope, 150, 16, 0, 4);
    Matrices.set(q, 5, 3, Float.NaN);
    Matrices.set(k, 90, 15, Float.NaN);
    long[] starts = {0, 100, 150};
    device.attention(q, k, v, new AttentionSpec(1, 1, 16, 0.25f), starts, y);
    for (int token = 0; token < 150; token++) {
      assertThat(Float.isNaN(FloatAccess.get(y, token, 0)))
          .as("token %d", token)
          .isEqualTo(token == 5 || (token >= 90 && token < 100));
    }
  }

  @Test
  void probabilityOfARowWithNanIsNan() {
    HostMatrix logits = Matrices.random(scope, 2, 1000, 0, 1);
    HostMatrix out = Matrices.random(scope, 1, 2, 0, 2);
    Matrices.set(logits, 0, 801, Float.NaN);
    device.logProbability(logits, scope.ints(3, 4), out);
    assertThat(FloatAccess.get(out, 0, 0)).isNaN();
    assertThat(FloatAccess.get(out, 0, 1)).isNegative();
  }

  /**
   * The vocabulary of SmolLM2. Terms are summed in blocks of 512 in F32, the blocks in double: so
   * the error doesn't grow with the vocabulary. A term is off by u times its exponent (at most 20)
   * and 4u; a block by γ(512).
   */
  @Test
  void probabilitiesAmongManyTokens() {
    int vocabulary = 49152;
    HostMatrix logits = Matrices.random(scope, 3, vocabulary, 0, 1);
    for (int r = 0; r < 3; r++) {
      for (int c = 0; c < vocabulary; c++) {
        Matrices.set(logits, r, c, 10 * FloatAccess.get(logits, r, c));
      }
    }
    int[] targets = {0, 40000, vocabulary - 1};
    HostMatrix out = Matrices.random(scope, 1, 3, 0, 2);
    device.logProbability(logits, scope.ints(targets), out);
    double[][] values = Matrices.doubles(logits);
    for (int r = 0; r < 3; r++) {
      double sum = 0;
      for (double value : values[r]) {
        sum += Math.exp(value);
      }
      double exact = values[r][targets[r]] - Math.log(sum);
      double bound = gamma(512 + 20 + 4) + 0x1p-24 * Math.abs(exact);
      assertThat(Math.abs(FloatAccess.get(out, 0, r) - exact)).isLessThanOrEqualTo(bound);
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    Tensor x = scope.zeros(DType.F32, 4, 6);
    Tensor y = scope.zeros(DType.F32, 6, 4);
    Tensor narrow = scope.zeros(DType.BF16, 4, 6);
    AttentionSpec spec = new AttentionSpec(3, 3, 2, 1);
    assertThatThrownBy(() -> device.add(x, y)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> device.add(narrow, x)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> device.attention(x, x, x, spec, new long[] {0, 5}, x))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> device.gatherRows(x, scope.ints(0, 4), scope.zeros(DType.F32, 2, 6)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("row 4");
    assertThatThrownBy(() -> device.convert(x, scope.zeros(DType.I8, 4, 6)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("F32")
        .hasMessageContaining("I8");
    assertThatThrownBy(
            () -> device.logProbability(x, scope.ints(0, 1, 6, 2), scope.floats(0, 0, 0, 0)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(
            () ->
                device.rope(
                    x,
                    6,
                    scope.ints(0, 1, 2, 9),
                    y.rows(0, 3).columns(0, 3),
                    y.rows(0, 3).columns(0, 3)))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
