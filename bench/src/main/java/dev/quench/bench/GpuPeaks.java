package dev.quench.bench;

import java.util.List;
import java.util.Optional;

/**
 * What a device can do at most, as its maker says: dense, without sparsity.
 *
 * @param name what the driver's name for it begins with
 * @param terabytes per second between memory and chip
 * @param bf16 TFLOP/s of the tensor cores
 * @param tf32 TFLOP/s of the tensor cores
 * @param fp32 TFLOP/s without them
 * @param instructions that warps can issue in a second, in 10¹²: four a cycle and multiprocessor
 */
record GpuPeaks(
    String name, double terabytes, double bf16, double tf32, double fp32, double instructions) {
  /** 132 multiprocessors at 1.7 GHz, which is what they sustain when memory is busy too. */
  static final GpuPeaks H100 = new GpuPeaks("NVIDIA H100 80GB HBM3", 3.35, 990, 495, 67, 0.90);

  private static final List<GpuPeaks> KNOWN =
      List.of(
          H100,
          new GpuPeaks("NVIDIA H100 NVL", 3.9, 835, 418, 60, 0.90),
          new GpuPeaks("NVIDIA H100 PCIe", 2.0, 756, 378, 51, 0.77),
          new GpuPeaks("NVIDIA H200", 4.8, 990, 495, 67, 0.90),
          new GpuPeaks("NVIDIA A100-SXM4-80GB", 2.04, 312, 156, 19.5, 0.61),
          new GpuPeaks("NVIDIA A100-SXM4-40GB", 1.56, 312, 156, 19.5, 0.61),
          new GpuPeaks("NVIDIA A100 80GB PCIe", 1.94, 312, 156, 19.5, 0.61));

  /** The device of that description, if it is in the table. */
  static Optional<GpuPeaks> of(String description) {
    return KNOWN.stream().filter(gpu -> description.startsWith(gpu.name)).findFirst();
  }

  double bytesPerSecond() {
    return 1e12 * terabytes;
  }

  double flops(KernelWork.Pipe pipe) {
    return 1e12
        * switch (pipe) {
          case FP32 -> fp32;
          case TF32 -> tf32;
          case BF16 -> bf16;
        };
  }

  double instructionsPerSecond() {
    return 1e12 * instructions;
  }
}
