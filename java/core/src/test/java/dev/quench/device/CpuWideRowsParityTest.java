package dev.quench.device;

import dev.quench.device.DeviceParityTest.Subject;
import java.util.List;

/** Wide rows on the CPU device. */
final class CpuWideRowsParityTest extends WideRowsParityTest {
  @Override
  List<Subject> devices() {
    return List.of(new Subject("CPU", () -> new CpuDevice(2)));
  }
}
