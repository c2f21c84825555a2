package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.quench.QuenchException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * Products by oneDNN's {@code dnnl_sgemm}, each on the thread that asks for it. oneDNN's own
 * threads are not used: how it splits sums depends on their number.
 */
final class OneDnnGemm implements SerialGemm {
  private final OneDnn library;

  private OneDnnGemm(OneDnn library) {
    this.library = library;
  }

  /**
   * Loads the library that the dependency {@code org.bytedeco:dnnl} holds.
   *
   * @throws QuenchException with the reason, if it can't be used on this machine
   */
  static OneDnnGemm load() {
    if (!System.getProperty("os.name").equals("Linux")) {
      throw new QuenchException("oneDNN is loaded on Linux only");
    }
    String architecture =
        switch (System.getProperty("os.arch").toLowerCase(Locale.ROOT)) {
          case "amd64", "x86_64" -> "x86_64";
          case "aarch64" -> "arm64";
          default -> System.getProperty("os.arch");
        };
    Path folder =
        BundledLibrary.unpack(
            "onednn",
            "org/bytedeco/dnnl/linux-" + architecture,
            List.of("libgomp.so.1", "libdnnl.so.3"));
    return new OneDnnGemm(OneDnn.load(folder.resolve("libdnnl.so.3")));
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
    checkSpan("A", a, transposeA ? k : m, transposeA ? m : k, lda);
    checkSpan("B", b, transposeB ? n : k, transposeB ? k : n, ldb);
    checkSpan("C", c, m, n, ldc);
    if (k == 0) {
      scale(beta, m, n, c, ldc);
      return;
    }
    library.sgemm(transposeA, transposeB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  }

  @Override
  public String description() {
    return "oneDNN " + library.version() + " (" + library.instructionSet() + ")";
  }

  /** Native code wouldn't notice that it leaves its operands. */
  private static void checkSpan(
      String name, MemorySegment memory, long rows, long columns, long leading) {
    if (rows == 0 || columns == 0) {
      return;
    }
    long elements = (rows - 1) * leading + columns;
    if (leading < columns || elements * Float.BYTES > memory.byteSize()) {
      throw new IllegalArgumentException(
          "%s [%d, %d] with leading dimension %d doesn't fit in %d bytes"
              .formatted(name, rows, columns, leading, memory.byteSize()));
    }
  }

  /** What a product over no terms leaves of C; oneDNN leaves C as it is. */
  private static void scale(float beta, long m, long n, MemorySegment c, long ldc) {
    for (long i = 0; i < m; i++) {
      for (long j = 0; j < n; j++) {
        long at = i * ldc + j;
        c.setAtIndex(JAVA_FLOAT, at, beta == 0 ? 0 : beta * c.getAtIndex(JAVA_FLOAT, at));
      }
    }
  }
}
