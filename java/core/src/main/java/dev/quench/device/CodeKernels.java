package dev.quench.device;

import dev.quench.quantization.CodeFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;

/**
 * Codes of rows and values of codes, a piece of a row at a time. Elements of 8 and 16 bits share
 * words, so a piece is taken apart into a plane of its even and one of its odd elements, which
 * become words again at the end. Codes are always a stream of bits, lowest first: what isn't packed
 * is 8 bits wide.
 *
 * <p>An object is scratch memory of one task.
 */
final class CodeKernels {
  private static final float[] E4M3 = values(CodeFormat.E4M3);
  private static final float[] E2M1 = values(CodeFormat.E2M1);

  final RowWords piece = new RowWords();
  private final RowWords stream = new RowWords();
  private final Plane even = new Plane();
  private final Plane odd = new Plane();

  /** True if a zero point of the piece isn't 0. */
  private boolean shifted;

  /** True if each scale is one that weights have: at least 2^−40 and less than 2. */
  private boolean usual;

  /** Of all codes. */
  private static float[] values(CodeFormat format) {
    float[] values = new float[256];
    for (int code = 0; code < values.length; code++) {
      values[code] = format.toFloat((byte) code);
    }
    return values;
  }

  /**
   * Codes of a row. The scale of element c is {@code scales[scaleRow, c / blockColumns] /
   * globalScale}.
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
      float globalScale,
      HostMatrix codes) {
    boolean packed = codes.dtype() != args.codeFormat().dtype();
    int bits = packed ? args.numBits() : 8;
    DType arithmetic = args.scaleFormat().arithmetic(x.dtype());
    for (long column = 0; column < x.columns(); column += RowWords.ELEMENTS) {
      int count = (int) Math.min(RowWords.ELEMENTS, x.columns() - column);
      int half = (count + 1) / 2;
      fill(scales, globalScale, zeroPoints, scaleRow, blockColumns, column, count);
      load(x, row, column, count);
      quantize(even, arithmetic, moderate && usual, args, packed, half);
      quantize(odd, arithmetic, moderate && usual, args, packed, half);
      if ((count & 1) == 1) {
        odd.codes[half - 1] = 0;
      }
      Lanes.join(even.codes, odd.codes, bits, piece.words, half);
      squeeze(half, bits);
      long bytes = codes.dtype().bytes(Math.ceilDiv((long) count * bits, codes.dtype().bits()));
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
      CodeFormat format,
      float globalScale,
      HostMatrix x) {
    DType arithmetic = scales.dtype().bits() == 8 ? DType.F32 : scales.dtype();
    for (long column = 0; column < x.columns(); column += RowWords.ELEMENTS) {
      int count = (int) Math.min(RowWords.ELEMENTS, x.columns() - column);
      int half = (count + 1) / 2;
      fill(scales, globalScale, zeroPoints, scaleRow, blockColumns, column, count);
      piece.load(codes, row, column, count);
      spread(format, half);
      even.fromUnits(arithmetic, shifted, half);
      odd.fromUnits(arithmetic, shifted, half);
      store(x, row, column, count, half);
    }
  }

  private void fill(
      HostMatrix scales,
      float globalScale,
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
          Float.intBitsToFloat(
              Float.floatToIntBits(FloatAccess.get(scales, scaleRow, block) / globalScale));
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
    if (args.codeFormat() != CodeFormat.INTEGER) {
      plane.toFloatCodes(args.codeFormat(), count);
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
  private void spread(CodeFormat format, int half) {
    float[] values = format == CodeFormat.E2M1 ? E2M1 : E4M3;
    for (int i = 0; i < half; i++) {
      int pair = piece.words[i >> 1] >>> ((i & 1) << 4);
      if (format == CodeFormat.INTEGER) {
        even.values[i] = (byte) pair;
        odd.values[i] = (byte) (pair >>> 8);
      } else {
        even.values[i] = values[pair & 0xFF];
        odd.values[i] = values[(pair >>> 8) & 0xFF];
      }
    }
  }
}
