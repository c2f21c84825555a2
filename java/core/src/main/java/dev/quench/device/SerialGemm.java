package dev.quench.device;

import java.lang.foreign.MemorySegment;

/**
 * A single-threaded matrix product on raw row-major F32 memory; called from many workers at once.
 */
interface SerialGemm {
  /**
   * {@code C [m, n] = alpha · op(A) [m, k] · op(B) [k, n] + beta · C}; {@code beta == 0} doesn't
   * read C. The leading dimensions are elements between row starts of A, B, C as stored.
   */
  void sgemm(
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
      long ldc);

  /** One line for people: the library, its version and the instruction set that it chose. */
  String description();
}
