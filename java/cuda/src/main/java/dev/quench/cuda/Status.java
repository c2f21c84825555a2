package dev.quench.cuda;

import java.util.function.Supplier;

/** Return codes of the driver, turned into exceptions. */
final class Status {
  static final int SUCCESS = 0;
  static final int OUT_OF_MEMORY = 2;
  static final int UNSUPPORTED_PTX_VERSION = 222;
  static final int NOT_READY = 600;

  private Status() {}

  /** Whether the code says that a kernel went wrong; the context is lost then. */
  static boolean isKernelFailure(int status) {
    return switch (status) {
      case 214, // CUDA_ERROR_ECC_UNCORRECTABLE
          700, // CUDA_ERROR_ILLEGAL_ADDRESS
          702, // CUDA_ERROR_LAUNCH_TIMEOUT
          710, // CUDA_ERROR_ASSERT
          714, // CUDA_ERROR_HARDWARE_STACK_ERROR
          715, // CUDA_ERROR_ILLEGAL_INSTRUCTION
          716, // CUDA_ERROR_MISALIGNED_ADDRESS
          717, // CUDA_ERROR_INVALID_ADDRESS_SPACE
          718, // CUDA_ERROR_INVALID_PC
          719 -> // CUDA_ERROR_LAUNCH_FAILED
          true;
      default -> false;
    };
  }

  static void check(int status, String function, CudaDriver driver) {
    if (status != SUCCESS) {
      throw failure(status, function, driver);
    }
  }

  /**
   * @param what the call with its operands
   */
  static void check(int status, Supplier<String> what, CudaDriver driver) {
    if (status != SUCCESS) {
      throw failure(status, what.get(), driver);
    }
  }

  static CudaException failure(int status, String what, CudaDriver driver) {
    return new CudaException(
        "%s failed: %s (%s)".formatted(what, driver.errorName(status), driver.errorText(status)));
  }
}
