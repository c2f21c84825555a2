package dev.quench.device;

import dev.quench.quantization.CodeFormat;
import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Every other element of a piece of a row, with the scale of each, while it becomes codes or is
 * made from them.
 */
final class Plane {
  private static final int CAPACITY = RowWords.ELEMENTS / 2;

  final int[] bits = new int[CAPACITY];
  final float[] values = new float[CAPACITY];
  final int[] codes = new int[CAPACITY];
  private final float[] scales = new float[CAPACITY];
  private final float[] zeroPoints = new float[CAPACITY];
  private final MemorySegment bitsMemory = MemorySegment.ofArray(bits);
  private final MemorySegment valuesMemory = MemorySegment.ofArray(values);

  void fill(int from, int to, float scale, float zeroPoint) {
    Arrays.fill(scales, from, to, scale);
    Arrays.fill(zeroPoints, from, to, zeroPoint);
  }

  /**
   * {@code values = values / scales + zeroPoints}, each operation rounded to the dtype.
   *
   * @param moderate true if no quotient is as large as 2^111, or not 0 and as small as 2^−134
   */
  void toUnits(DType dtype, boolean moderate, boolean shifted, int count) {
    if (dtype == DType.BF16 && moderate) {
      Lanes.divideInBfloat16(values, scales, count);
      if (!shifted) {
        return;
      }
    } else {
      Lanes.divide(values, scales, count);
      round(dtype, count);
    }
    Lanes.add(values, zeroPoints, count);
    round(dtype, count);
  }

  /** {@code values = (values − zeroPoints) · scales}, each operation rounded to the dtype. */
  void fromUnits(DType dtype, boolean shifted, int count) {
    if (shifted) {
      Lanes.subtract(values, zeroPoints, count);
      round(dtype, count);
    }
    Lanes.multiply(values, scales, count);
    round(dtype, count);
  }

  void round(DType dtype, int count) {
    switch (dtype) {
      case BF16 -> {
        toBits(count);
        Lanes.roundToBfloat16(bits, count);
        toValues(count);
      }
      case F16 -> Lanes.roundToFloat16(values, count);
      default -> RowWords.requireFloat(dtype);
    }
  }

  /** Codes of the values, in a format of floats. */
  void toFloatCodes(CodeFormat format, int count) {
    toBits(count);
    if (format == CodeFormat.E2M1) {
      Lanes.toE2m1(values, bits, codes, count);
    } else {
      Lanes.toE4m3Steps(values, codes, count);
      Lanes.toE4m3(bits, codes, count);
    }
  }

  /** {@code bits = values}. */
  void toBits(int count) {
    MemorySegment.copy(valuesMemory, 0, bitsMemory, 0, count * 4L);
  }

  /** {@code values = bits}. */
  void toValues(int count) {
    MemorySegment.copy(bitsMemory, 0, valuesMemory, 0, count * 4L);
  }
}
