package dev.quench.bench;

/**
 * Sizes of the operands of {@link CudaWorkload}s, named after what they are in a Llama.
 *
 * @param rows of a weight
 * @param columns of a weight
 * @param tokens of a batch
 * @param length tokens of a sequence; divides {@code tokens}
 * @param hidden columns of the residual stream
 * @param solver rows of a Hessian that is factored
 */
record CudaSizes(
    long rows,
    long columns,
    long tokens,
    long length,
    long hidden,
    int heads,
    int keyHeads,
    long solver,
    long vocabulary) {
  /** Llama-3-8B's largest weight, and a batch of four sequences. */
  static final CudaSizes BENCHMARK =
      new CudaSizes(4096, 14_336, 8192, 2048, 4096, 32, 8, 4096, 128_256);

  /** The same, and the tokens of a calibration with 512 sequences. */
  static final CudaSizes CALIBRATION =
      new CudaSizes(4096, 14_336, 512 * 2048, 2048, 4096, 32, 8, 14_336, 128_256);

  /** Small enough for a CPU that plays the device. */
  static final CudaSizes SMALL = new CudaSizes(32, 2048, 64, 64, 512, 4, 2, 512, 4096);
}
