package dev.quench.cuda;

import java.util.Comparator;

/**
 * The kernels that this build brings, in figures.
 *
 * @param count of kernels
 * @param ptxVersion the highest of their files
 * @param compiler what compiled them
 */
public record CudaKernels(int count, String ptxVersion, String compiler) {
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

  @Override
  public String toString() {
    return count == 0 ? "none" : "%d kernels, PTX %s, %s".formatted(count, ptxVersion, compiler);
  }
}
