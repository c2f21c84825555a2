package dev.quench.device;

import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import java.lang.foreign.MemorySegment;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The product that the machine and the user's wish allow, loaded when it is first needed: work
 * without matrix products doesn't pay for a library.
 */
final class ChosenGemm implements SerialGemm {
  /** Forces the implementation: {@code onednn} or {@code vector}. */
  static final String PROPERTY = "quench.gemm";

  private record Choice(SerialGemm gemm, String description) {}

  private final Supplier<SerialGemm> loader;
  private final String wish;
  private volatile @Nullable Choice choice;

  ChosenGemm() {
    this(System.getProperty(PROPERTY, "auto"), OneDnnGemm::load);
  }

  /**
   * @param wish {@code onednn}, {@code vector} or {@code auto}
   */
  ChosenGemm(String wish, Supplier<SerialGemm> loader) {
    if (!wish.equals("auto") && !wish.equals("onednn") && !wish.equals("vector")) {
      throw new InvalidInputException(PROPERTY + " is onednn or vector, not " + wish);
    }
    this.wish = wish;
    this.loader = loader;
  }

  /** What is used, and why it isn't oneDNN if it isn't. Loads it. */
  @Override
  public String description() {
    return choice().description;
  }

  @Override
  public void sgemm(
      boolean transposeA,
      boolean transposeB,
      long m,
      long n,
      long k,
      float alpha,
      MemorySegment a,
      long lda,
      MemorySegment b,
      long ldb,
      float beta,
      MemorySegment c,
      long ldc) {
    choice().gemm.sgemm(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  }

  private Choice choice() {
    Choice known = choice;
    return known != null ? known : choose();
  }

  private synchronized Choice choose() {
    Choice known = choice;
    if (known == null) {
      known =
          switch (wish) {
            case "vector" -> of(new VectorGemm(), " as " + PROPERTY + " asks for");
            case "onednn" -> of(forced(), "");
            default -> automatic();
          };
      choice = known;
    }
    return known;
  }

  private SerialGemm forced() {
    try {
      return loader.get();
    } catch (QuenchException e) {
      throw new QuenchException(PROPERTY + "=onednn can't be honoured: " + e.getMessage(), e);
    }
  }

  private Choice automatic() {
    try {
      return of(loader.get(), "");
    } catch (QuenchException e) {
      return of(new VectorGemm(), " instead of oneDNN: " + e.getMessage());
    }
  }

  private static Choice of(SerialGemm gemm, String reason) {
    return new Choice(gemm, gemm.description() + reason);
  }
}
