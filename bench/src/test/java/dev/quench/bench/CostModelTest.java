package dev.quench.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class CostModelTest {
  /** Of Llama-3-8B: 8,030,261,248 less embeddings, head and norms. */
  private static final double WEIGHTS = 8_030_261_248.0 - 2 * 128_256.0 * 4096 - 65 * 4096;

  private static final double TOKENS = 1_048_576;

  @Test
  void countsTheModelsWeights() {
    assertThat(CostModel.forwardFlops()).isEqualTo(2 * TOKENS * WEIGHTS);
  }

  @Test
  void countsHalfOfEachHessian() {
    double squares = 3 * 4096.0 * 4096 + 14_336.0 * 14_336;
    assertThat(CostModel.hessianFlops()).isEqualTo(32 * TOKENS * squares);
  }

  /** Of the operations, the kernels' own counts say the same. */
  @Test
  void agreesWithTheBenchmarksCounts() {
    double narrow = flops(CudaWorkload.SYRK_NARROW);
    double wide = flops(CudaWorkload.SYRK_WIDE);
    assertThat(32 * (3 * narrow + wide))
        .isCloseTo(CostModel.hessianFlops(), within(1e-9 * CostModel.hessianFlops()));
  }

  private static double flops(CudaWorkload workload) {
    return workload.operation().work(CudaSizes.CALIBRATION).getFirst().flops();
  }

  @Test
  void everySettingHasTheSameTerms() {
    List<List<CostModel.Term>> all = CostModel.all();
    assertThat(all).hasSizeGreaterThan(1).allMatch(terms -> terms.size() == all.get(0).size());
    assertThat(all).allSatisfy(terms -> assertThat(terms).allMatch(term -> term.seconds() >= 0));
  }
}
