package dev.quench.cuda;

/**
 * What a device is.
 *
 * @param capability 10 · major + minor, such as 90
 * @param sharedPerBlock bytes of shared memory that a block can ask for
 * @param memory bytes
 * @param driverVersion of CUDA that the driver was made for, such as 12060 for 12.6
 */
public record CudaProperties(
    int ordinal,
    String name,
    int capability,
    int multiprocessors,
    int sharedPerBlock,
    long memory,
    int driverVersion) {
  /** The lowest capability that the kernels run on. */
  static final int MIN_CAPABILITY = 80;

  // CUdevice_attribute of cuda.h
  private static final int MULTIPROCESSOR_COUNT = 16;
  private static final int COMPUTE_CAPABILITY_MAJOR = 75;
  private static final int COMPUTE_CAPABILITY_MINOR = 76;
  private static final int MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97;

  static CudaProperties of(CudaDriver driver, int ordinal) {
    return new CudaProperties(
        ordinal,
        driver.deviceName(ordinal),
        10 * driver.attribute(COMPUTE_CAPABILITY_MAJOR, ordinal)
            + driver.attribute(COMPUTE_CAPABILITY_MINOR, ordinal),
        driver.attribute(MULTIPROCESSOR_COUNT, ordinal),
        driver.attribute(MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, ordinal),
        driver.deviceMemory(ordinal),
        driver.version());
  }

  /** Whether this is the program that stands in for a GPU in Quench's tests. */
  public boolean isStandIn() {
    return name.contains("stand-in");
  }

  /** Such as {@code NVIDIA H100 80GB HBM3, compute capability 9.0, driver for CUDA 12.6}. */
  @Override
  public String toString() {
    return "%s, compute capability %d.%d, driver for CUDA %s"
        .formatted(name, capability / 10, capability % 10, version(driverVersion));
  }

  static String version(int number) {
    return number / 1000 + "." + number % 1000 / 10;
  }
}
