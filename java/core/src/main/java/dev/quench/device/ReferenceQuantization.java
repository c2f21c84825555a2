package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.quench.quantization.BitPacking;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationParameters;
import dev.quench.quantization.Rounding;
import dev.quench.tensor.DType;
import java.util.Optional;

/**
 * Applies {@code dev.quench.quantization}, where the meaning is defined, to each element or block.
 */
final class ReferenceQuantization {
  private ReferenceQuantization() {}

  static void observe(
      HostMatrix x, long blockRows, long blockColumns, HostMatrix min, HostMatrix max) {
    requireGrid(x, blockRows, blockColumns, min).require(x.dtype());
    requireGrid(x, blockRows, blockColumns, max).require(x.dtype());
    for (long i = 0; i < min.rows(); i++) {
      for (long j = 0; j < min.columns(); j++) {
        float smallest = 0;
        float largest = 0;
        for (long r = i * blockRows; r < Math.min((i + 1) * blockRows, x.rows()); r++) {
          for (long c = j * blockColumns; c < Math.min((j + 1) * blockColumns, x.columns()); c++) {
            // NaN stays once it is there; −0 is less than 0.
            smallest = Math.min(smallest, FloatAccess.get(x, r, c));
            largest = Math.max(largest, FloatAccess.get(x, r, c));
          }
        }
        FloatAccess.set(min, i, j, smallest);
        FloatAccess.set(max, i, j, largest);
      }
    }
  }

  static void quantizationParameters(
      HostMatrix min,
      HostMatrix max,
      QuantizationArgs args,
      float globalScale,
      HostMatrix scale,
      HostMatrix zeroPoint) {
    max.require(min.dtype()).require(min.rows(), min.columns());
    scale.require(args.scaleFormat().dtype(min.dtype())).require(min.rows(), min.columns());
    zeroPoint.require(DType.I8).require(min.rows(), min.columns());
    for (long i = 0; i < min.rows(); i++) {
      for (long j = 0; j < min.columns(); j++) {
        QuantizationParameters parameters =
            QuantizationParameters.of(
                FloatAccess.get(min, i, j),
                FloatAccess.get(max, i, j),
                args,
                globalScale,
                min.dtype());
        FloatAccess.set(scale, i, j, parameters.scale());
        FloatAccess.setByte(zeroPoint, i, j, parameters.zeroPoint());
      }
    }
  }

  static void quantize(
      HostMatrix x,
      HostMatrix scale,
      HostMatrix zeroPoint,
      QuantizationArgs args,
      float globalScale,
      HostMatrix codes) {
    long blockRows = args.blockRows(x.rows());
    long blockColumns = args.blockColumns(x.columns());
    requireGrid(x, blockRows, blockColumns, scale).require(args.scaleFormat().dtype(x.dtype()));
    requireGrid(x, blockRows, blockColumns, zeroPoint).require(DType.I8);
    boolean packed = args.codeFormat().packedDtype().equals(Optional.of(codes.dtype()));
    if (packed) {
      requirePacked(codes, x.rows(), x.columns(), args.numBits());
    } else {
      codes.require(args.codeFormat().dtype()).require(x.rows(), x.columns());
    }
    DType arithmetic = args.scaleFormat().arithmetic(x.dtype());
    byte[] row = new byte[Math.toIntExact(x.columns())];
    for (long r = 0; r < x.rows(); r++) {
      for (int c = 0; c < row.length; c++) {
        row[c] =
            Rounding.code(
                FloatAccess.get(x, r, c),
                FloatAccess.get(scale, r / blockRows, c / blockColumns) / globalScale,
                FloatAccess.getByte(zeroPoint, r / blockRows, c / blockColumns),
                args,
                arithmetic);
      }
      if (packed) {
        writePacked(row, args.numBits(), codes, r);
      } else {
        writeRow(row, codes, r);
      }
    }
  }

  static void quantizeToNearest(
      HostMatrix x,
      QuantizationArgs args,
      float globalScale,
      HostMatrix scale,
      HostMatrix zeroPoint,
      HostMatrix codes) {
    try (HostPool pool = new HostPool();
        HostScope scope = new HostScope(pool)) {
      HostMatrix min = scope.allocate(x.dtype(), scale.rows(), scale.columns());
      HostMatrix max = scope.allocate(x.dtype(), scale.rows(), scale.columns());
      observe(x, args.blockRows(x.rows()), args.blockColumns(x.columns()), min, max);
      quantizationParameters(min, max, args, globalScale, scale, zeroPoint);
      quantize(x, scale, zeroPoint, args, globalScale, codes);
    }
  }

  static void dequantize(
      HostMatrix codes,
      HostMatrix scale,
      HostMatrix zeroPoint,
      QuantizationArgs args,
      float globalScale,
      HostMatrix x) {
    long blockRows = args.blockRows(x.rows());
    long blockColumns = args.blockColumns(x.columns());
    requireGrid(x, blockRows, blockColumns, scale);
    requireGrid(x, blockRows, blockColumns, zeroPoint).require(DType.I8);
    codes.require(args.codeFormat().dtype()).require(x.rows(), x.columns());
    DType arithmetic = scale.dtype().bits() == 8 ? DType.F32 : scale.dtype();
    for (long r = 0; r < x.rows(); r++) {
      for (long c = 0; c < x.columns(); c++) {
        float value =
            Rounding.value(
                FloatAccess.getByte(codes, r, c),
                FloatAccess.get(scale, r / blockRows, c / blockColumns) / globalScale,
                FloatAccess.getByte(zeroPoint, r / blockRows, c / blockColumns),
                args,
                arithmetic);
        FloatAccess.set(x, r, c, value);
      }
    }
  }

  static void pack(HostMatrix codes, int bits, HostMatrix packed) {
    codes.require(DType.I8);
    requirePacked(packed, codes.rows(), codes.columns(), bits);
    byte[] row = new byte[Math.toIntExact(codes.columns())];
    for (long r = 0; r < codes.rows(); r++) {
      for (int c = 0; c < row.length; c++) {
        row[c] = FloatAccess.getByte(codes, r, c);
      }
      writePacked(row, bits, packed, r);
    }
  }

  static void unpack(HostMatrix packed, int bits, HostMatrix codes) {
    codes.require(DType.I8);
    requirePacked(packed, codes.rows(), codes.columns(), bits);
    byte[] row = new byte[Math.toIntExact(codes.columns())];
    int[] words = new int[Math.toIntExact(packed.columns())];
    for (long r = 0; r < codes.rows(); r++) {
      if (packed.dtype() == DType.U8) {
        for (int i = 0; i < row.length; i++) {
          row[i] = (byte) ((FloatAccess.getByte(packed, r, i / 2) >> (i % 2 * 4)) & 0xF);
        }
      } else {
        for (int i = 0; i < words.length; i++) {
          words[i] = packed.memory().get(JAVA_INT_UNALIGNED, packed.offset(r, i));
        }
        BitPacking.unpack(words, bits, row);
      }
      writeRow(row, codes, r);
    }
  }

  static void gptqBlock(
      HostMatrix w,
      HostMatrix u,
      HostMatrix scale,
      HostMatrix zeroPoint,
      HostMatrix group,
      QuantizationArgs args,
      DType roundTo,
      HostMatrix codes,
      HostMatrix error,
      HostMatrix loss) {
    long block = w.rows();
    w.require(DType.F32);
    u.require(DType.F32).require(block, block);
    scale.require(DType.F32).require(scale.rows(), w.columns());
    zeroPoint.require(DType.F32).require(scale.rows(), w.columns());
    group.require(DType.I32).require(1, block);
    codes.require(args.codeFormat().dtype()).require(block, w.columns());
    error.require(DType.F32).require(block, w.columns());
    loss.require(DType.F32).require(1, w.columns());
    for (long i = 0; i < block; i++) {
      int g = FloatAccess.getInt(group, i);
      for (long o = 0; o < w.columns(); o++) {
        float value = FloatAccess.get(w, i, o);
        for (long j = 0; j < i; j++) {
          value = Math.fma(-FloatAccess.get(u, j, i), FloatAccess.get(error, j, o), value);
        }
        float s = FloatAccess.get(scale, g, o);
        float z = FloatAccess.get(zeroPoint, g, o);
        byte code = Rounding.code(value, s, z, args, DType.F32);
        float q = args.codeFormat().toFloat(code);
        float rounded = Rounding.to(roundTo, (q - z) * s);
        float e = (value - rounded) / FloatAccess.get(u, i, i);
        FloatAccess.setByte(codes, i, o, code);
        FloatAccess.set(error, i, o, e);
        FloatAccess.set(loss, 0, o, FloatAccess.get(loss, 0, o) + e * e);
      }
    }
  }

  private static HostMatrix requireGrid(
      HostMatrix x, long blockRows, long blockColumns, HostMatrix parameters) {
    return parameters.require(
        Math.ceilDiv(x.rows(), blockRows), Math.ceilDiv(x.columns(), blockColumns));
  }

  private static void requirePacked(HostMatrix packed, long rows, long columns, int bits) {
    if (packed.dtype() == DType.U8 && bits == 4) {
      packed.require(rows, Math.ceilDiv(columns, 2));
    } else {
      packed.require(DType.I32).require(rows, BitPacking.words(columns, bits));
    }
  }

  private static void writeRow(byte[] codes, HostMatrix target, long row) {
    for (int c = 0; c < codes.length; c++) {
      FloatAccess.setByte(target, row, c, codes[c]);
    }
  }

  private static void writePacked(byte[] codes, int bits, HostMatrix target, long row) {
    if (target.dtype() == DType.U8) {
      for (int i = 0; i < codes.length; i += 2) {
        int upper = i + 1 < codes.length ? codes[i + 1] << 4 : 0;
        FloatAccess.setByte(target, row, i / 2, (byte) ((codes[i] & 0xF) | upper));
      }
      return;
    }
    int[] words = new int[Math.toIntExact(target.columns())];
    BitPacking.pack(codes, bits, words);
    for (int i = 0; i < words.length; i++) {
      target.memory().set(JAVA_INT_UNALIGNED, target.offset(row, i), words[i]);
    }
  }
}
