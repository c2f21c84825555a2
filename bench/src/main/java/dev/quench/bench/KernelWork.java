package dev.quench.bench;

/**
 * The least that a kernel has to do in an operation.
 *
 * @param launches of the kernel
 * @param elements that it works on, to which figures an element refer
 * @param bytes that have to cross the memory bus if each operand crosses it once
 * @param flops in floating-point operations, a fused multiply-add counted as two
 * @param pipe where these are done
 */
record KernelWork(
    String kernel, long launches, long elements, double bytes, double flops, Pipe pipe) {
  /** Units of a multiprocessor that compute. */
  enum Pipe {
    FP32,
    /** Tensor cores on TF32. */
    TF32,
    /** Tensor cores on BF16. */
    BF16
  }

  /** Work that crosses memory once, and computes with the ordinary units. */
  static KernelWork streaming(String kernel, long elements, double bytes, double flops) {
    return new KernelWork(kernel, 1, elements, bytes, flops, Pipe.FP32);
  }

  KernelWork withLaunches(long count) {
    return new KernelWork(kernel, count, elements, bytes, flops, pipe);
  }

  /** Seconds that a device needs at least. */
  double seconds(GpuPeaks gpu) {
    return Math.max(bytes / gpu.bytesPerSecond(), flops / gpu.flops(pipe));
  }
}
