package dev.quench.device;

import java.util.List;

/** The parity suite on the CPU device. */
final class CpuParityTest extends DeviceParityTest {
  @Override
  List<Subject> devices() {
    return List.of(
        new Subject("CPU, 1 thread", () -> new CpuDevice(1)),
        new Subject("CPU, 2 threads", () -> new CpuDevice(2)));
  }
}
