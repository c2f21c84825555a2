package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.quench.quantization.BitPacking;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.quantization.QuantizationParameters;
import dev.quench.quantization.Rounding;
import dev.quench.tensor.DType;
import dev.quench.tensor.Float8E4M3;

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
      HostMatrix scale,
      HostMatrix zeroPoint) {
    max.require(min.dtype()).require(min.rows(), min.columns());
    scale.require(min.dtype()).require(min.rows(), min.columns());
    zeroPoint.require(DType.I8).require(min.rows(), min.columns());
    for (long i = 0; i < min.rows(); i++) {
      for (long j = 0; j < min.columns(); j++) {
        QuantizationParameters parameters =
            QuantizationParameters.of(
                FloatAccess.get(min, i, j), FloatAccess.get(max, i, j), args, min.dtype());
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
      HostMatrix codes) {
    long blockRows = args.blockRows(x.rows());
    long blockColumns = args.blockColumns(x.columns());
    requireGrid(x, blockRows, blockColumns, scale).require(x.dtype());
    requireGrid(x, blockRows, blockColumns, zeroPoint).require(DType.I8);
    boolean packed = codes.dtype() == DType.I32 && args.type() == Type.INT;
    if (!packed) {
      codes.require(codeDtype(args)).require(x.rows(), x.columns());
    }
    byte[] row = new byte[Math.toIntExact(x.columns())];
    for (long r = 0; r < x.rows(); r++) {
      for (int c = 0; c < row.length; c++) {
        row[c] =
            Rounding.code(
                FloatAccess.get(x, r, c),
                FloatAccess.get(scale, r / blockRows, c / blockColumns),
                FloatAccess.getByte(zeroPoint, r / blockRows, c / blockColumns),
                args,
                x.dtype());
      }
      if (packed) {
        writePacked(row, args.numBits(), codes.require(x.rows(), words(x, args.numBits())), r);
      } else {
        writeRow(row, codes, r);
      }
    }
  }

  static void quantizeToNearest(
      HostMatrix x,
      QuantizationArgs args,
      HostMatrix scale,
      HostMatrix zeroPoint,
      HostMatrix codes) {
    try (HostPool pool = new HostPool();
        HostScope scope = new HostScope(pool)) {
      HostMatrix min = scope.allocate(x.dtype(), scale.rows(), scale.columns());
      HostMatrix max = scope.allocate(x.dtype(), scale.rows(), scale.columns());
      observe(x, args.blockRows(x.rows()), args.blockColumns(x.columns()), min, max);
      quantizationParameters(min, max, args, scale, zeroPoint);
      quantize(x, scale, zeroPoint, args, codes);
    }
  }

  static void dequantize(
      HostMatrix codes,
      HostMatrix scale,
      HostMatrix zeroPoint,
      QuantizationArgs args,
      HostMatrix x) {
    long blockRows = args.blockRows(x.rows());
    long blockColumns = args.blockColumns(x.columns());
    requireGrid(x, blockRows, blockColumns, scale);
    requireGrid(x, blockRows, blockColumns, zeroPoint).require(DType.I8);
    codes.require(codeDtype(args)).require(x.rows(), x.columns());
    for (long r = 0; r < x.rows(); r++) {
      for (long c = 0; c < x.columns(); c++) {
        float value =
            Rounding.value(
                FloatAccess.getByte(codes, r, c),
                FloatAccess.get(scale, r / blockRows, c / blockColumns),
                FloatAccess.getByte(zeroPoint, r / blockRows, c / blockColumns),
                args,
                scale.dtype());
        FloatAccess.set(x, r, c, value);
      }
    }
  }

  static void pack(HostMatrix codes, int bits, HostMatrix packed) {
    codes.require(DType.I8);
    packed.require(DType.I32).require(codes.rows(), words(codes, bits));
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
    packed.require(DType.I32).require(codes.rows(), words(codes, bits));
    byte[] row = new byte[Math.toIntExact(codes.columns())];
    int[] words = new int[Math.toIntExact(packed.columns())];
    for (long r = 0; r < codes.rows(); r++) {
      for (int i = 0; i < words.length; i++) {
        words[i] = packed.memory().get(JAVA_INT_UNALIGNED, packed.offset(r, i));
      }
      BitPacking.unpack(words, bits, row);
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
    codes.require(codeDtype(args)).require(block, w.columns());
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
        float q = args.type() == Type.INT ? code : Float8E4M3.toFloat(code);
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

  private static DType codeDtype(QuantizationArgs args) {
    return args.type() == Type.INT ? DType.I8 : DType.F8_E4M3;
  }

  private static long words(HostMatrix codes, int bits) {
    return BitPacking.words(codes.columns(), bits);
  }

  private static void writeRow(byte[] codes, HostMatrix target, long row) {
    for (int c = 0; c < codes.length; c++) {
      FloatAccess.setByte(target, row, c, codes[c]);
    }
  }

  private static void writePacked(byte[] codes, int bits, HostMatrix target, long row) {
    int[] words = new int[Math.toIntExact(target.columns())];
    BitPacking.pack(codes, bits, words);
    for (int i = 0; i < words.length; i++) {
      target.memory().set(JAVA_INT_UNALIGNED, target.offset(row, i), words[i]);
    }
  }
}
