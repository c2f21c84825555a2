package dev.quench.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Copies between host and device, and who owns memory. */
final class CudaMemoryTest {
  private static HostTensor random(DType dtype, long rows, long columns, Arena arena, long seed) {
    byte[] bytes = new byte[Math.toIntExact(dtype.bytes(rows * columns))];
    new Random(seed).nextBytes(bytes);
    MemorySegment memory = arena.allocate(Math.max(bytes.length, 1), 64).asSlice(0, bytes.length);
    memory.copyFrom(MemorySegment.ofArray(bytes));
    return new HostTensor(dtype, Shape.of(rows, columns), memory);
  }

  private static byte[] download(CudaDevice device, Tensor source) {
    try (Arena arena = Arena.ofConfined()) {
      Shape shape = Shape.of(source.rows(), source.columns());
      return device.onHost(source, shape, arena).data().toArray(ValueLayout.JAVA_BYTE);
    }
  }

  /** Bytes of a rectangle of a dense matrix. */
  private static byte[] slice(HostTensor matrix, long row, long rows, long column, long columns) {
    int size = (int) matrix.dtype().bytes(1);
    byte[] result = new byte[(int) (rows * columns * size)];
    for (long r = 0; r < rows; r++) {
      MemorySegment.copy(
          matrix.data(),
          ValueLayout.JAVA_BYTE,
          ((row + r) * matrix.columns() + column) * size,
          result,
          (int) (r * columns * size),
          (int) (columns * size));
    }
    return result;
  }

  /** Below, at and above what goes through one buffer, and what goes beside the computation. */
  @Test
  void whatGoesUpComesDown() {
    long[] sizes = {0, 1, 3, 1 << 20, (1 << 20) + 1, 8 << 20, (8 << 20) + 5, 25 << 20};
    try (CudaDevice device = CudaTests.open();
        Arena arena = Arena.ofShared();
        Arena confined = Arena.ofConfined()) {
      for (long size : sizes) {
        for (Arena owner : new Arena[] {arena, confined}) {
          HostTensor host = random(DType.I8, 1, size, owner, size);
          try (CudaScope scope = device.openScope()) {
            byte[] back = download(device, scope.upload(host));
            assertThat(back)
                .as("%d bytes", size)
                .isEqualTo(host.data().toArray(ValueLayout.JAVA_BYTE));
          }
        }
      }
    }
  }

  @Test
  void viewsComeDownDense() {
    try (CudaDevice device = CudaTests.open();
        Arena arena = Arena.ofShared();
        CudaScope scope = device.openScope()) {
      HostTensor narrow = random(DType.BF16, 5000, 1001, arena, 1);
      CudaMatrix onDevice = scope.upload(narrow);
      assertThat(download(device, onDevice.slice(3, 4990, 7, 990)))
          .isEqualTo(slice(narrow, 3, 4990, 7, 990));
      assertThat(download(device, onDevice.columns(0, 1))).isEqualTo(slice(narrow, 0, 5000, 0, 1));
      assertThat(download(device, onDevice.slice(2, 0, 0, 5))).isEmpty();
      // A row that is longer than a buffer.
      HostTensor wide = random(DType.F32, 3, 3 << 20, arena, 2);
      assertThat(download(device, scope.upload(wide).slice(1, 2, 5, (3 << 20) - 9)))
          .isEqualTo(slice(wide, 1, 2, 5, (3 << 20) - 9));
    }
  }

  @Test
  void zerosAndValues() {
    try (CudaDevice device = CudaTests.open();
        CudaScope scope = device.openScope()) {
      assertThat(download(device, scope.zeros(DType.F32, 100, 33))).containsOnly(0);
      assertThat(download(device, scope.ints(1, -2))).containsExactly(1, 0, 0, 0, -2, -1, -1, -1);
      assertThat(download(device, scope.floats(1f))).containsExactly(0, 0, 0x80, 0x3f);
    }
  }

  /** An upload that is under way keeps its memory until it is through. */
  @Test
  void memoryOfAnUploadThatNobodyUsedIsUsedAgain() {
    try (CudaDevice device = CudaTests.open();
        Arena arena = Arena.ofShared()) {
      HostTensor first = random(DType.I8, 1, 30 << 20, arena, 1);
      HostTensor second = random(DType.I8, 1, 30 << 20, arena, 2);
      for (int i = 0; i < 5; i++) {
        try (CudaScope scope = device.openScope()) {
          scope.upload(first);
        }
        try (CudaScope scope = device.openScope()) {
          CudaMatrix zeros = scope.zeros(DType.I8, 1, 30 << 20);
          assertThat(download(device, zeros)).containsOnly(0);
        }
        try (CudaScope scope = device.openScope()) {
          CudaMatrix early = scope.upload(first);
          CudaMatrix late = scope.upload(second);
          assertThat(download(device, late))
              .isEqualTo(second.data().toArray(ValueLayout.JAVA_BYTE));
          assertThat(download(device, early))
              .isEqualTo(first.data().toArray(ValueLayout.JAVA_BYTE));
        }
      }
    }
  }

  /** Kernels read it, and what they did is done before the memory's next owner writes it. */
  @Test
  void uploadsWaitForTheLastOwnersKernels() {
    try (CudaDevice device = CudaTests.open();
        Arena arena = Arena.ofShared();
        CudaScope results = device.openScope()) {
      HostTensor first = random(DType.I8, 3000, 1000, arena, 1);
      HostTensor second = random(DType.I8, 3000, 1000, arena, 2);
      CudaMatrix copy = results.allocate(DType.I8, 3000, 1000);
      for (int i = 0; i < 5; i++) {
        try (CudaScope scope = device.openScope()) {
          device.convert(scope.upload(first), copy);
        }
        try (CudaScope scope = device.openScope()) {
          CudaMatrix other = scope.upload(second);
          assertThat(download(device, copy)).isEqualTo(first.data().toArray(ValueLayout.JAVA_BYTE));
          assertThat(download(device, other))
              .isEqualTo(second.data().toArray(ValueLayout.JAVA_BYTE));
        }
      }
    }
  }

  @Test
  void theLimitIsKeptAndTheMessageSaysWhatFor() {
    try (CudaDevice device = CudaTests.open(8 << 20);
        CudaScope scope = device.openScope()) {
      assertThat(device.memoryLimit()).hasValue(8 << 20);
      scope.allocate(DType.F32, 1000, 1000);
      assertThatThrownBy(() -> scope.allocate(DType.F32, 1024, 2048))
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("8,388,608 bytes for F32 [1024, 2048]")
          .hasMessageContaining("4,000,256 of 8,388,608 bytes are in use");
      scope.allocate(DType.F32, 1000, 1000);
    }
  }

  @Test
  void tensorsOfOtherDevicesAreRefused() {
    try (CudaDevice device = CudaTests.open();
        CudaScope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      CudaMatrix matrix = scope.allocate(DType.F32, 2, 3);
      assertThatThrownBy(() -> device.download(matrix, random(DType.F32, 2, 4, arena, 1)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("F32 [2, 3]");
      assertThatThrownBy(() -> matrix.slice(0, 3, 0, 1))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
  }
}
