package dev.quench.recipe;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SchemeChecksTest {
  @ParameterizedTest
  @CsvSource({"W4A16, 128", "W4A16, 384", "W8A8, 100", "FP8_BLOCK, 100", "NVFP4A16, 48"})
  void fits(String scheme, long columns) {
    assertThatCode(() -> SchemeChecks.checkFits(weights(scheme), "m", 7, columns))
        .doesNotThrowAnyException();
  }

  @ParameterizedTest
  @CsvSource({
    "W4A16, 576, use group_size 64 or 32 or 16",
    "W4A16, 160, use group_size 32 or 16",
    "W4A16, 100, use strategy channel",
    "MXFP4A16, 48, use a scheme whose group_size divides them",
    "NVFP4A16, 40, use a scheme whose group_size divides them",
  })
  void saysWhatWouldFit(String scheme, long columns, String advice) {
    assertThatThrownBy(
            () -> SchemeChecks.checkFits(weights(scheme), "model.layers.0.x", 7, columns))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("model.layers.0.x: groups of ")
        .hasMessageContaining("7 × " + columns)
        .hasMessageContaining(advice);
  }

  private static QuantizationArgs weights(String scheme) {
    return PresetSchemes.find(scheme).orElseThrow().weights().orElseThrow();
  }
}
