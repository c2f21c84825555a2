package dev.quench.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.device.HadamardMatrix;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class CudaHadamardTest {
  /** Pieces that don't fit into shared memory take several passes. */
  @ParameterizedTest
  @CsvSource({
    "4096, 1024", // 2^10 in registers, the rest from device memory
    "4096, 2048", // one bit more in shared memory
    "3072, 1024", // base 12
    "1280, 1024", // base 20
    "1792, 1024", // base 28
    "2304, 1024", // base 36
    "24576, 50000", // a base, and more bits than fit into registers
  })
  void pieceThatDoesNotFit(int size, long room) {
    SplittableRandom random = new SplittableRandom(size);
    float[] x = new float[2 * size];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    Arena arena = Arena.ofAuto();
    HostTensor host =
        new HostTensor(DType.F32, Shape.of(1, x.length), arena.allocateFrom(JAVA_FLOAT, x));
    try (CudaDevice device = CudaTests.open();
        CudaScope scope = device.memory().openScope()) {
      CudaMatrix matrix = scope.upload(host);
      new CudaHadamard(device.kernels(), room).hadamard(matrix, size);
      HostTensor result =
          new HostTensor(DType.F32, Shape.of(1, x.length), arena.allocate(x.length * 4L, 4));
      device.download(matrix, result);
      check(x, result.data().toArray(JAVA_FLOAT), HadamardMatrix.of(size));
    }
  }

  /** A block does several rows where there are more than a grid has; here it has one block. */
  @ParameterizedTest
  @CsvSource({"2048, 1", "3072, 12", "5120, 20", "7168, 28", "9216, 36"})
  void rowsInTurn(int columns, int base) {
    try (CudaDevice device = CudaTests.open();
        CudaScope scope = device.memory().openScope()) {
      assertThat(transformed(device, scope, columns, base, 1))
          .isEqualTo(transformed(device, scope, columns, base, ROWS));
    }
  }

  private static final int ROWS = 7;

  private static float[] transformed(
      CudaDevice device, CudaScope scope, int columns, int base, int blocks) {
    SplittableRandom random = new SplittableRandom(columns);
    float[] x = new float[ROWS * columns];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    Arena arena = Arena.ofAuto();
    CudaMatrix matrix =
        scope.upload(
            new HostTensor(
                DType.F32, Shape.of(ROWS, columns), arena.allocateFrom(JAVA_FLOAT, x)));
    int bits = Integer.numberOfTrailingZeros(columns / base);
    Arguments arguments = new Arguments().matrix(matrix).longs(ROWS, columns);
    if (base == 1) {
      arguments.ints(bits - 1, 1, columns); // one step in shared memory
    } else {
      arguments.ints(bits, columns);
    }
    device
        .kernels()
        .launch(
            base == 1 ? "quench_hadamard_f32" : "quench_hadamard" + base + "_f32",
            Grid.of(1, blocks, 256).withShared(columns * Float.BYTES),
            arguments.floats(1));
    HostTensor result =
        new HostTensor(DType.F32, Shape.of(ROWS, columns), arena.allocate(4L * x.length, 4));
    device.download(matrix, result);
    return result.data().toArray(JAVA_FLOAT);
  }

  /** The bound of the parity suite, without the rounding of the reference. */
  private static void check(float[] x, float[] result, HadamardMatrix h) {
    int size = (int) h.size();
    int step = Math.max(1, size / 500); // some columns of many
    for (int piece = 0; piece < x.length; piece += size) {
      for (int j = 0; j < size; j += step) {
        double sum = 0;
        double magnitude = 0;
        for (int i = 0; i < size; i++) {
          sum += h.sign(i, j) * x[piece + i];
          magnitude += Math.abs(x[piece + i]);
        }
        double bound = (h.log2() + h.base() + 2) * 0x1p-24 * magnitude / Math.sqrt(size);
        assertThat((double) result[piece + j])
            .as("column %d", piece + j)
            .isBetween(sum / Math.sqrt(size) - bound, sum / Math.sqrt(size) + bound);
      }
    }
  }
}
