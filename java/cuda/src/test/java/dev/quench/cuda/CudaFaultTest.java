package dev.quench.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.quench.cuda.standin.StandIn;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What a user reads when the driver, the device or a kernel fails; the stand-in fails on demand.
 */
final class CudaFaultTest {
  private final List<String> settings = new ArrayList<>();

  @BeforeEach
  void onTheStandIn() {
    CudaTests.require();
    assumeTrue(
        CudaProbe.first() instanceof CudaProbe.Usable usable && usable.device().isStandIn(),
        "only the stand-in fails when it is asked to");
  }

  @AfterEach
  void restore() {
    settings.forEach(name -> StandIn.configure(name, ""));
  }

  private void configure(String name, String value) {
    settings.add(name);
    StandIn.configure(name, value);
  }

  /** Launches a kernel twice and waits. */
  private static void work(CudaDevice device) {
    try (CudaScope scope = device.openScope()) {
      CudaMatrix x = scope.zeros(DType.F32, 3, 5);
      device.add(x, scope.zeros(DType.F32, 3, 5));
      device.round(x, DType.BF16);
      device.synchronize();
    }
  }

  @Test
  void aKernelThatFailsIsNamedWithItsShapes() {
    configure("FAIL", "kernel:quench_add_f32:1");
    try (CudaDevice device = CudaTests.open()) {
      assertThatThrownBy(() -> work(device))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("quench_add_f32<<<")
          .hasMessageContaining("F32 [1, 15]")
          .hasMessageContaining("CUDA_ERROR_LAUNCH_FAILED");
      assertThatThrownBy(() -> work(device)).isInstanceOf(CudaException.class);
    }
    // Closing gave the broken context back: the next one is sound, and has all of its memory.
    try (CudaDevice device = CudaTests.open()) {
      work(device);
    }
  }

  @Test
  void aDriverThatIsTooOldForThePtxIsNamed() {
    configure("DRIVER_VERSION", "11080");
    assertThatThrownBy(() -> CudaDevice.open(CudaTests.MEMORY))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("made for CUDA 11.8")
        .hasMessageContaining("PTX 8.0")
        .hasMessageContaining("CUDA 12.0 or later");
  }

  /** Where the version doesn't tell, the driver does when it loads a kernel. */
  @Test
  void ptxThatTheDriverDoesNotKnowIsNamed() {
    try (CudaDevice device = CudaTests.open()) {
      configure("DRIVER_VERSION", "11080");
      assertThatThrownBy(() -> work(device))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining(".ptx is PTX 8.0")
          .hasMessageContaining("a newer driver does");
    }
  }

  /**
   * A driver as new as the compiler is offered machine code first; the stand-in has none to run.
   */
  @Test
  void ptxIsLoadedWhereMachineCodeIsRefused() {
    configure("DRIVER_VERSION", "13000");
    try (CudaDevice device = CudaTests.open()) {
      work(device);
    }
  }

  @Test
  void aDeviceThatIsTooOldIsRefused() {
    configure("CAPABILITY", "75");
    assertThat(CudaProbe.first())
        .isInstanceOfSatisfying(
            CudaProbe.Unusable.class,
            unusable ->
                assertThat(unusable.reason()).contains("compute capability 7.5").contains("8.0"));
    assertThatThrownBy(() -> CudaDevice.open(CudaTests.MEMORY))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("compute capability 7.5");
  }

  @Test
  void aDriverThatDoesNotStartIsSaidSo() {
    configure("FAIL", "cuInit:1");
    assertThat(CudaProbe.first())
        .isInstanceOfSatisfying(
            CudaProbe.Unusable.class,
            unusable -> assertThat(unusable.reason()).contains("cuInit failed: CUDA_ERROR_"));
  }

  /** What is free may be less than what was allowed. */
  @Test
  void memoryThatOthersHoldIsNotCounted() {
    configure("MEMORY", Long.toString(300L << 20));
    try (CudaDevice device = CudaTests.open();
        CudaScope scope = device.openScope()) {
      assertThat(device.memoryLimit().orElseThrow()).isBetween(1L, 300L << 20);
      assertThatThrownBy(() -> scope.allocate(DType.F32, 10_000, 10_000))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("out of GPU memory")
          .hasMessageContaining("F32 [10000, 10000]");
    }
  }

  @Test
  void aFailedAllocationLeavesRoomForOthers() {
    configure("FAIL", String.join(",", Collections.nCopies(4, "cuMemAlloc_v2:1")));
    try (CudaDevice device = CudaTests.open();
        CudaScope scope = device.openScope()) {
      assertThatThrownBy(() -> scope.allocate(DType.F32, 100, 100))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("out of GPU memory: 40,000 bytes for F32 [100, 100]");
      scope.allocate(DType.F32, 100, 100);
    }
  }

  /** An upload fails in a thread of its own; who uses its target hears of it. */
  @Test
  void aFailedUploadShowsWhereItsTargetIsUsed() {
    configure("FAIL", "cuMemcpyHtoDAsync_v2:2");
    try (CudaDevice device = CudaTests.open();
        Arena arena = Arena.ofShared()) {
      HostTensor host =
          new HostTensor(DType.F32, Shape.of(5000, 1000), arena.allocate(20_000_000, 64));
      assertThatThrownBy(
              () -> {
                try (CudaScope scope = device.openScope()) {
                  CudaMatrix target = scope.upload(host);
                  device.round(target, DType.BF16);
                }
              })
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("upload of F32 [5000, 1000] failed: CUDA_ERROR_");
    }
  }

  /** Without waiting after each launch, the failure shows later and names the suspects. */
  @Test
  void aFailureThatShowsLateNamesTheLastKernels() {
    configure("STREAMS", "lazy");
    configure("FAIL", "kernel:quench_add_f32:1");
    try (CudaDevice device = CudaTests.open()) {
      assertThatThrownBy(() -> work(device))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("quench_add_f32<<<")
          .hasMessageContaining("can't be used any more");
    }
  }
}
