package dev.quench.pipeline;

import dev.quench.cuda.CudaTests;
import dev.quench.device.Device;

/** GPTQ on the CUDA device reaches the figures that it reaches on the CPU. */
final class CudaGoldenGptqTest extends GoldenGptqTest {
  @Override
  Device device() {
    return CudaTests.open();
  }
}
