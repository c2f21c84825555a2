package dev.quench.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

final class ChosenGemmTest {
  private static SerialGemm fail() {
    throw new QuenchException("no such library");
  }

  @Test
  void saysWhyItIsNotOneDnn() {
    assertThat(new ChosenGemm("auto", ChosenGemmTest::fail).description())
        .startsWith("Vector API")
        .endsWith("instead of oneDNN: no such library");
    assertThat(new ChosenGemm("vector", ChosenGemmTest::fail).description())
        .endsWith("as quench.gemm asks for");
  }

  @Test
  void failsIfTheForcedChoiceCannotBeHonoured() {
    assertThatThrownBy(() -> new ChosenGemm("onednn", ChosenGemmTest::fail).description())
        .isInstanceOf(QuenchException.class)
        .hasMessage("quench.gemm=onednn can't be honoured: no such library");
    assertThatThrownBy(() -> new ChosenGemm("mkl", ChosenGemmTest::fail))
        .isInstanceOf(InvalidInputException.class);
  }

  @Test
  void loadsOnceAndOnlyWhenNeeded() {
    AtomicInteger loads = new AtomicInteger();
    ChosenGemm gemm =
        new ChosenGemm(
            "onednn",
            () -> {
              loads.incrementAndGet();
              return new VectorGemm();
            });
    assertThat(loads).hasValue(0);
    assertThat(gemm.description()).isEqualTo(gemm.description());
    assertThat(loads).hasValue(1);
  }

  @Test
  void describesTheLoadedLibrary() {
    assertThat(OneDnnGemm.load().description()).matches("oneDNN 3\\.\\d+\\.\\d+ \\(\\w+\\)");
  }
}
