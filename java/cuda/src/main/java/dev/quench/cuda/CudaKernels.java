package dev.quench.cuda;

import java.util.Comparator;
import java.util.Map;

/**
 * The kernels that this build brings, in figures.
 *
 * @param count of kernels
 * @param ptxVersion the highest of their files
 * @param compiler what compiled them
 */
public record CudaKernels(int count, String ptxVersion, String compiler) {
  /** The CUDA version that brought a version of PTX, as drivers count them. */
  private static final Map<String, Integer> CUDA_OF_PTX =
      Map.of(
          "8.0", 12000, "8.1", 12010, "8.2", 12020, "8.3", 12030, "8.4", 12040, "8.5", 12050, "8.6",
          12070, "8.7", 12080, "8.8", 12090, "9.0", 13000);

  /** Those of the jar. */
  public static CudaKernels inJar() {
    KernelImages images = KernelImages.load();
    return new CudaKernels(
        images.images().stream().mapToInt(image -> image.kernels().size()).sum(),
        images.images().stream()
            .map(KernelImages.Image::ptxVersion)
            .max(Comparator.comparingDouble(Double::parseDouble))
            .orElse(""),
        images.compiler());
  }

  /** The CUDA version that a driver must be made for; 0 if that isn't known. */
  int minDriver() {
    return CUDA_OF_PTX.getOrDefault(ptxVersion, 0);
  }

  @Override
  public String toString() {
    return count == 0 ? "none" : "%d kernels, PTX %s, %s".formatted(count, ptxVersion, compiler);
  }
}
