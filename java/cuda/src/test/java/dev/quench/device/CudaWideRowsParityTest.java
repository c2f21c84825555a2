package dev.quench.device;

import dev.quench.cuda.CudaTests;
import dev.quench.device.DeviceParityTest.Subject;
import java.util.List;

/** Wide rows on the CUDA device. */
final class CudaWideRowsParityTest extends WideRowsParityTest {
  @Override
  List<Subject> devices() {
    return List.of(new Subject("CUDA", CudaTests::open));
  }
}
