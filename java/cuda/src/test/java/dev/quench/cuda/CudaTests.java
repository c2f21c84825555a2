package dev.quench.cuda;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import dev.quench.cuda.standin.StandIn;

/** The device of tests: a GPU or the stand-in, whichever driver this process finds. */
public final class CudaTests {
  /** Set where a test that is skipped for want of a device is a failure. */
  private static final boolean REQUIRED =
      "1".equals(System.getenv().getOrDefault("QUENCH_REQUIRE_CUDA_TESTS", "0"));

  /** Bytes of device memory that tests may take. */
  static final long MEMORY = 4L << 30;

  private CudaTests() {}

  /** Opens the device; skips the test, or fails it where that is asked for, if there is none. */
  public static CudaDevice open() {
    return open(MEMORY);
  }

  static CudaDevice open(long memory) {
    require();
    return CudaDevice.open(memory);
  }

  static void require() {
    if (KernelImages.load().isEmpty()) {
      missing("the kernels weren't compiled");
    }
    StandIn.prepare().ifPresent(CudaTests::missing);
    if (CudaProbe.first() instanceof CudaProbe.Unusable(String reason)) {
      missing(reason);
    }
  }

  /** Skips the test, or fails it where that is asked for. */
  public static void missing(String reason) {
    if (REQUIRED) {
      fail(reason);
    }
    abort(reason);
  }
}
