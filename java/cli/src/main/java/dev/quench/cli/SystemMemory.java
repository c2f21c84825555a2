package dev.quench.cli;

import java.lang.management.ManagementFactory;

/** The machine's memory. */
final class SystemMemory {
  private SystemMemory() {}

  /** Bytes of main memory, or of the container's limit. */
  static long total() {
    return ManagementFactory.getOperatingSystemMXBean()
            instanceof com.sun.management.OperatingSystemMXBean system
        ? system.getTotalMemorySize()
        : 8L << 30;
  }
}
