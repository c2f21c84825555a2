package dev.quench.device;

import dev.quench.cuda.CudaTests;
import java.util.List;

/** The parity suite on the CUDA device. */
final class CudaParityTest extends DeviceParityTest {
  @Override
  List<Subject> devices() {
    return List.of(new Subject("CUDA", CudaTests::open));
  }
}
