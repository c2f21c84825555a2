package dev.quench.device;

import dev.quench.quantization.BitPacking;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.tensor.DType;
import dev.quench.tensor.Float8E4M3;

/**
 * Codes of rows and values of codes, a piece of a row at a time. Elements of 8 and 16 bits share
 * words, so a piece is taken apart into a plane of its even and one of its odd elements, which
 * become words again at the end. Codes are always a stream of bits, lowest first: I8 and E4M3 are 8
 * bits wide.
 *
 * <p>An object is scratch memory of one task.
 */
final class CodeKernels {
  private static final float[] E4M3 = new float[256];

  static {
    for (int code = 0; code < E4M3.length; code++) {
      E4M3[code] = Float8E4M3.toFloat((byte) code);
    }
  }

  final RowWords piece = new RowWords();
  private final RowWords stream = new RowWords();
  private final Plane even = new Plane();
  private final Plane odd = new Plane();

  /** True if a zero point of the piece isn't 0. */
  private boolean shifted;

  /** True if each scale is one that weights have: at least 2^−40 and less than 2. */
  private boolean usual;

  /**
   * Codes of a row. The scale of element c is {@code scales[scaleRow, c / blockColumns]}.
   *
   * @param moderate what {@link BlockRanges#areModerate} says of the row
   */
  void quantize(
      HostMatrix x,
      long row,
      boolean moderate,
      HostMatrix scales,
      HostMatrix zeroPoints,
      long scaleRow,
      long blockColumns,
      QuantizationArgs args,
      HostMatrix codes) {
    boolean packed = codes.dtype() == DType.I32;
    int bits = packed ? args.numBits() : 8;
    for (long column = 0; column < x.columns(); column += RowWords.ELEMENTS) {
      int count = (int) Math.min(RowWords.ELEMENTS, x.columns() - column);
      int half = (count + 1) / 2;
      fill(scales, zeroPoints, scaleRow, blockColumns, column, count);
      load(x, row, column, count);
      quantize(even, x.dtype(), moderate && usual, args, packed, half);
      quantize(odd, x.dtype(), moderate && usual, args, packed, half);
      if ((count & 1) == 1) {
        odd.codes[half - 1] = 0;
      }
      Lanes.join(even.codes, odd.codes, bits, piece.words, half);
      squeeze(half, bits);
      long bytes = packed ? BitPacking.words(count, bits) * 4 : count;
      stream.store(codes.memory(), codes.offset(row, 0) + column * bits / 8, bytes);
    }
  }

  /** Values of a row of codes. */
  void dequantize(
      HostMatrix codes,
      long row,
      HostMatrix scales,
      HostMatrix zeroPoints,
      long scaleRow,
      long blockColumns,
      Type type,
      HostMatrix x) {
    for (long column = 0; column < x.columns(); column += RowWords.ELEMENTS) {
      int count = (int) Math.min(RowWords.ELEMENTS, x.columns() - column);
      int half = (count + 1) / 2;
      fill(scales, zeroPoints, scaleRow, blockColumns, column, count);
      piece.load(codes, row, column, count);
      spread(type, half);
      even.fromUnits(scales.dtype(), shifted, half);
      odd.fromUnits(scales.dtype(), shifted, half);
      store(x, row, column, count, half);
    }
  }

  private void fill(
      HostMatrix scales,
      HostMatrix zeroPoints,
      long scaleRow,
      long blockColumns,
      long column,
      int count) {
    shifted = false;
    usual = true;
    int from = 0;
    while (from < count) {
      long block = (column + from) / blockColumns;
      int to = (int) Math.min(count, (block + 1) * blockColumns - column);
      // Of NaN, the bits that rounding to bfloat16 leaves NaN.
      float scale =
          Float.intBitsToFloat(Float.floatToIntBits(FloatAccess.get(scales, scaleRow, block)));
      float zeroPoint = FloatAccess.getByte(zeroPoints, scaleRow, block);
      shifted |= zeroPoint != 0;
      usual &= scale >= 0x1p-40f && scale < 2;
      even.fill((from + 1) / 2, (to + 1) / 2, scale, zeroPoint);
      odd.fill(from / 2, to / 2, scale, zeroPoint);
      from = to;
    }
    if ((count & 1) == 1) {
      odd.fill(count / 2, count / 2 + 1, 1, 0);
    }
  }

  private void load(HostMatrix x, long row, long column, int count) {
    int half = (count + 1) / 2;
    piece.load(x, row, column, count);
    if (x.dtype() == DType.BF16) {
      Lanes.lowerBfloat16(piece.words, even.bits, half);
      Lanes.upperBfloat16(piece.words, odd.bits, half);
    } else {
      if (x.dtype() == DType.F16) {
        piece.widenFloat16(count);
      }
      for (int i = 0; i < half; i++) {
        even.bits[i] = piece.words[2 * i];
        odd.bits[i] = piece.words[2 * i + 1];
      }
    }
    even.toValues(half);
    odd.toValues(half);
  }

  private void store(HostMatrix x, long row, long column, int count, int half) {
    even.round(x.dtype(), half);
    odd.round(x.dtype(), half);
    even.toBits(half);
    odd.toBits(half);
    switch (x.dtype()) {
      case BF16 -> Lanes.joinBfloat16(even.bits, odd.bits, piece.words, half);
      case F16 -> {
        for (int i = 0; i < half; i++) {
          piece.words[i] =
              (Float.floatToFloat16(even.values[i]) & 0xFFFF)
                  | (Float.floatToFloat16(odd.values[i]) << 16);
        }
      }
      default -> {
        for (int i = 0; i < half; i++) {
          piece.words[2 * i] = even.bits[i];
          piece.words[2 * i + 1] = odd.bits[i];
        }
      }
    }
    piece.store(x, row, column, count);
  }

  private void quantize(
      Plane plane,
      DType dtype,
      boolean moderate,
      QuantizationArgs args,
      boolean packed,
      int count) {
    plane.toUnits(dtype, moderate, shifted, count);
    if (args.type() == Type.FLOAT) {
      plane.toE4m3(count);
    } else {
      int bias = packed ? 1 << (args.numBits() - 1) : 0;
      Lanes.toIntegers(
          plane.values, (int) args.minCode(), (int) args.maxCode(), bias, plane.codes, count);
    }
  }

  /** Makes a stream of words that hold two codes each; what is left of the last word is 0. */
  private void squeeze(int pairs, int bits) {
    int[] from = piece.words;
    int[] to = stream.words;
    for (int i = pairs; (i & 3) != 0; i++) {
      from[i] = 0;
    }
    switch (bits) {
      case 8 -> {
        for (int i = 0; 2 * i < pairs; i++) {
          to[i] = from[2 * i] | (from[2 * i + 1] << 16);
        }
      }
      case 4 -> {
        for (int i = 0; 4 * i < pairs; i++) {
          to[i] =
              from[4 * i]
                  | (from[4 * i + 1] << 8)
                  | (from[4 * i + 2] << 16)
                  | (from[4 * i + 3] << 24);
        }
      }
      default -> {
        long pending = 0;
        int filled = 0;
        int at = 0;
        for (int i = 0; i < pairs; i++) {
          pending |= (long) from[i] << filled;
          filled += 2 * bits;
          if (filled >= 32) {
            to[at++] = (int) pending;
            pending >>>= 32;
            filled -= 32;
          }
        }
        to[at] = (int) pending;
      }
    }
  }

  /** The values of codes that lie four to a word. */
  private void spread(Type type, int half) {
    for (int i = 0; i < half; i++) {
      int pair = piece.words[i >> 1] >>> ((i & 1) << 4);
      if (type == Type.INT) {
        even.values[i] = (byte) pair;
        odd.values[i] = (byte) (pair >>> 8);
      } else {
        even.values[i] = E4M3[pair & 0xFF];
        odd.values[i] = E4M3[(pair >>> 8) & 0xFF];
      }
    }
  }
}
