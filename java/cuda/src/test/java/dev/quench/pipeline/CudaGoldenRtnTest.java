package dev.quench.pipeline;

import dev.quench.cuda.CudaTests;
import dev.quench.device.Device;

/** Round-to-nearest on the CUDA device is llm-compressor's byte for byte too. */
final class CudaGoldenRtnTest extends GoldenRtnTest {
  @Override
  Device device() {
    return CudaTests.open();
  }

  /** Searches for ranges have no kernels yet. */
  @Override
  boolean isRefused(String name) {
    return name.matches(".*mse.*");
  }
}
