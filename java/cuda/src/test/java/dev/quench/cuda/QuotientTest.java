package dev.quench.cuda;

import static org.assertj.core.api.Assertions.fail;

import dev.quench.quantization.Rounding;
import dev.quench.tensor.DType;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/**
 * What kernels/codes.cuh says of division by a scale: a product with its reciprocal gives the same
 * rounded quotient. Powers of two change nothing in it as long as nothing overflows or becomes
 * subnormal, so significands are tried with one exponent.
 */
final class QuotientTest {
  /** In float, rounded to float16. */
  @Test
  void float16() {
    for (int s = 1 << 10; s < 1 << 11; s++) {
      float reciprocal = 1f / s;
      for (int x = 1 << 10; x < 1 << 11; x++) {
        float product = Rounding.to(DType.F16, x * reciprocal);
        requireSame(product, Rounding.to(DType.F16, (float) x / s), x, s);
      }
    }
  }

  /** As x · high + (x · low), each operation rounded to bfloat16. */
  @Test
  void bfloat16() {
    for (int s = 1 << 7; s < 1 << 8; s++) {
      float reciprocal = 1f / s;
      float high = Rounding.to(DType.BF16, reciprocal);
      float low = Rounding.to(DType.BF16, reciprocal - high);
      for (int x = 1 << 7; x < 1 << 8; x++) {
        double rest = toEightBits((double) x * low);
        double product = toEightBits((double) x * high + rest); // exact before it is rounded
        requireSame(product, Rounding.to(DType.BF16, (float) x / s), x, s);
      }
    }
  }

  private static double toEightBits(double value) {
    int shift = 7 - Math.getExponent(value);
    return value == 0 ? value : Math.scalb(Math.rint(Math.scalb(value, shift)), -shift);
  }

  /** By two steps from the product: anything, and quotients beside the middle of two floats. */
  @Test
  void float32() {
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < 4_000_000; i++) {
      float s = (float) Math.scalb(random.nextDouble(1, 2), -random.nextInt(1, 61));
      float middle = 1 + random.nextInt(1 << 23) * 0x1p-23f;
      float beside = (float) (s * (middle + 0x1p-24));
      float any = (float) Math.scalb(random.nextDouble(1, 2), random.nextInt(-70, 60));
      requireSame(quotient(beside, s), beside / s, beside, s);
      requireSame(quotient(any, s), any / s, any, s);
    }
  }

  /**
   * In float, of elements of 16 bits, as x · high + (x · low): the quotient or a neighbour, of
   * which neither is the middle of two E2M1 values. Every seventh scale.
   */
  @Test
  void wide() {
    for (int s = 1 << 23; s < 1 << 24; s += 7) {
      float high = 1f / s;
      float rest = Math.fma(-s, high, 1);
      float low = Math.fma(rest, rest * high, rest * high);
      int differences = 0;
      for (int x = 1 << 10; x < 1 << 11; x++) {
        differences |= bits(wide(x, high, low)) ^ bits((float) x / s);
      }
      for (int x = 1 << 10; x < 1 << 11 && differences != 0; x++) {
        requireSameE2m1(bits(wide(x, high, low)), bits((float) x / s), x, s);
      }
    }
  }

  private static float wide(float x, float high, float low) {
    return Math.fma(x, high, Math.fma(x, low, 0));
  }

  private static int bits(float x) {
    return Float.floatToRawIntBits(x);
  }

  /** The middles, ¼, ¾, 1¼, 1¾, 2½, 3½ and 5, have two bits after the first. */
  private static void requireSameE2m1(int found, int wanted, int x, int s) {
    int afterThose = (1 << 21) - 1;
    if (found != wanted
        && (Math.abs(found - wanted) > 1
            || (found & afterThose) == 0
            || (wanted & afterThose) == 0)) {
      fail("%d / %d gives 0x%x instead of 0x%x".formatted(x, s, found, wanted));
    }
  }

  private static void requireSame(double found, double wanted, float x, float s) {
    if (found != wanted) {
      fail("%a / %a gives %a instead of %a".formatted(x, s, found, wanted));
    }
  }

  private static float quotient(float x, float s) {
    float reciprocal = 1 / s;
    float q = x * reciprocal;
    q = Math.fma(Math.fma(-s, q, x), reciprocal, q);
    return Math.fma(Math.fma(-s, q, x), reciprocal, q);
  }
}
