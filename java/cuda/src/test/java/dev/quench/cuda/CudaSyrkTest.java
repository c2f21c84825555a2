package dev.quench.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.quench.cuda.CudaSyrk.Variant;
import dev.quench.tensor.Bfloat16;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The variants of one operation, of which a device would choose one. */
final class CudaSyrkTest {
  private static final Arena ARENA = Arena.ofAuto();

  @ParameterizedTest
  @EnumSource(Variant.class)
  void everyVariantGivesTheSums(Variant variant) {
    try (CudaDevice device = CudaTests.open()) {
      CudaSyrk syrk = new CudaSyrk(device.kernels(), device.memory());
      assumeTrue(syrk.isAvailable(variant), variant + " on this device");
      check(device, syrk, variant, input(70, 300, DType.F32, 1));
      check(device, syrk, variant, input(200, 129, DType.BF16, 2));
      // More than one group of bands.
      check(device, syrk, variant, input(3, 1030, DType.BF16, 3));
      // More tokens than the ring has stages.
      check(device, syrk, variant, input(700, 5, DType.F32, 4));
    }
  }

  private static void check(CudaDevice device, CudaSyrk syrk, Variant variant, HostTensor x) {
    int tokens = (int) x.rows();
    int n = (int) x.columns();
    float[] h = run(device, syrk, variant, x);
    for (int i = 0; i < n; i++) {
      for (int j = 0; j <= i; j++) {
        double sum = 0;
        double magnitude = 0;
        for (int t = 0; t < tokens; t++) {
          double product = (double) get(x, t, i) * get(x, t, j);
          sum += product;
          magnitude += Math.abs(product);
        }
        // As in the parity suite, without the rounding of the reference.
        assertThat((double) h[i * n + j])
            .as("%s of %s at (%d, %d)", variant, x.shape(), i, j)
            .isBetween(
                sum - (tokens + 3) * 0x1p-24 * magnitude, sum + (tokens + 3) * 0x1p-24 * magnitude);
      }
    }
  }

  /** The width of tiles depends on how many multiprocessors there are; the result doesn't. */
  @Test
  void bothWidthsGiveTheSameBytes() {
    try (CudaDevice device = CudaTests.open()) {
      CudaSyrk syrk = new CudaSyrk(device.kernels(), device.memory());
      assumeTrue(syrk.isAvailable(Variant.WGMMA_256), "wgmma on this device");
      HostTensor x = input(150, 300, DType.F32, 5);
      float[] narrow = run(device, syrk, Variant.WGMMA_128, x);
      float[] wide = run(device, syrk, Variant.WGMMA_256, x);
      for (int i = 0; i < 300; i++) {
        for (int j = 0; j <= i; j++) {
          assertThat(wide[i * 300 + j]).isEqualTo(narrow[i * 300 + j]);
        }
      }
    }
  }

  @Test
  void tilesAreCounted() {
    for (Variant variant : Variant.values()) {
      long width = variant == Variant.WGMMA_256 ? 256 : 128;
      for (long n : new long[] {1, 128, 129, 257, 1024, 1500, 4096, 14336}) {
        long count = 0;
        for (long row = 0; row < n; row += 128) {
          for (long column = 0; column < row + 128; column += width) {
            count++;
          }
        }
        assertThat(variant.tiles(n)).as("%s of %d", variant, n).isEqualTo(count);
      }
    }
  }

  private static float[] run(CudaDevice device, CudaSyrk syrk, Variant variant, HostTensor x) {
    long n = x.columns();
    try (CudaScope scope = device.memory().openScope()) {
      CudaMatrix h = scope.zeros(DType.F32, n, n);
      syrk.syrk(scope.upload(x), h, variant);
      HostTensor result =
          new HostTensor(
              DType.F32, Shape.of(n, n), ARENA.allocate(n * n * Float.BYTES, Float.BYTES));
      device.download(h, result);
      return result.data().toArray(JAVA_FLOAT);
    }
  }

  private static HostTensor input(int tokens, int n, DType dtype, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    MemorySegment data = ARENA.allocate(dtype.bytes((long) tokens * n), 64);
    for (long i = 0; i < (long) tokens * n; i++) {
      float value = (float) random.nextGaussian();
      if (dtype == DType.F32) {
        data.setAtIndex(JAVA_FLOAT, i, value);
      } else {
        data.setAtIndex(JAVA_SHORT, i, Bfloat16.fromFloat(value));
      }
    }
    return new HostTensor(dtype, Shape.of(tokens, n), data);
  }

  private static float get(HostTensor x, long row, long column) {
    long i = row * x.columns() + column;
    return x.dtype() == DType.F32
        ? x.data().getAtIndex(JAVA_FLOAT, i)
        : Bfloat16.toFloat(x.data().getAtIndex(JAVA_SHORT, i));
  }
}
