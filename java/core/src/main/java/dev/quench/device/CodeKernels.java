package dev.quench.device;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.quantization.Rounding;
import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** Codes of contiguous elements that share a scale. */
final class CodeKernels {
  private static final VectorSpecies<Float> F = VectorShapes.FLOAT;
  private static final VectorSpecies<Integer> I =
      VectorSpecies.of(int.class, VectorShapes.FLOAT.vectorShape());
  private static final VectorSpecies<Short> HALF =
      VectorSpecies.of(short.class, VectorShape.forBitSize(Math.max(64, F.vectorBitSize() / 2)));

  /** Bytes of one float vector's codes; the narrowest shape holds 8. */
  private static final boolean WIDE = F.length() >= 8;

  private static final VectorSpecies<Byte> QUARTER =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, F.vectorBitSize() / 4)));

  /** Adding it rounds to an integer, ties to even, whose two's complement is in the low bits. */
  private static final float ROUND = 12582912f;

  private CodeKernels() {}

  /**
   * Writes {@code out[at …]}.
   *
   * @param scale of the dtype
   */
  static void codes(
      DType dtype,
      MemorySegment x,
      long offset,
      int count,
      float scale,
      float zeroPoint,
      QuantizationArgs args,
      byte[] out,
      int at) {
    int done = 0;
    if (dtype == DType.BF16 && WIDE && !Float.isNaN(scale) && !Float.isInfinite(scale)) {
      done = F.loopBound(count);
      if (args.type() == Type.FLOAT) {
        float8(x, offset, done, scale, out, at);
      } else if (args.symmetric()) {
        symmetric(x, offset, done, scale, args.minCode(), args.maxCode(), out, at);
      } else {
        asymmetric(x, offset, done, scale, zeroPoint, args.minCode(), args.maxCode(), out, at);
      }
    }
    for (int i = done; i < count; i++) {
      float value = FloatAccess.get(dtype, x, offset, i);
      out[at + i] = Rounding.code(value, scale, zeroPoint, args, dtype);
    }
  }

  /** x / scale in bfloat16, then to an integer. */
  private static void symmetric(
      MemorySegment x,
      long offset,
      int count,
      float scale,
      float min,
      float max,
      byte[] out,
      int at) {
    for (int i = 0; i < count; i += F.length()) {
      FloatVector t = quotient(x, offset + i * 2L, scale).max(min).min(max).add(ROUND);
      ((ByteVector) t.reinterpretAsInts().convertShape(VectorOperators.I2B, QUARTER, 0))
          .intoArray(out, at + i);
    }
  }

  private static void asymmetric(
      MemorySegment x,
      long offset,
      int count,
      float scale,
      float zeroPoint,
      float min,
      float max,
      byte[] out,
      int at) {
    for (int i = 0; i < count; i += F.length()) {
      IntVector bits = quotient(x, offset + i * 2L, scale).add(zeroPoint).reinterpretAsInts();
      FloatVector t =
          bits.add(bits.lanewise(VectorOperators.LSHR, 16).and(1).add(0x7FFF))
              .and(0xFFFF0000)
              .reinterpretAsFloats()
              .max(min)
              .min(max)
              .add(ROUND);
      ((ByteVector) t.reinterpretAsInts().convertShape(VectorOperators.I2B, QUARTER, 0))
          .intoArray(out, at + i);
    }
  }

  /** x / scale in bfloat16, then to E4M3 as {@code Float8E4M3.fromFloat} does. */
  private static void float8(
      MemorySegment x, long offset, int count, float scale, byte[] out, int at) {
    for (int i = 0; i < count; i += F.length()) {
      // Adding the zero point 0 makes −0 positive, but not what rounds to −0 later.
      IntVector bits =
          quotient(x, offset + i * 2L, scale).add(0f).max(-448f).min(448f).reinterpretAsInts();
      IntVector sign = bits.lanewise(VectorOperators.LSHR, 24).and(0x80);
      IntVector magnitude = bits.and(0x7FFFFFFF);
      IntVector normal =
          magnitude
              .add(magnitude.lanewise(VectorOperators.LSHR, 20).and(1).add(0x7FFFF))
              .lanewise(VectorOperators.LSHR, 20)
              .sub((127 - 7) << 3)
              .min(0x7F); // beyond it only NaN: what is finite is clamped
      IntVector subnormal =
          magnitude.reinterpretAsFloats().add(16384f).reinterpretAsInts().and(0xF);
      VectorMask<Integer> small = magnitude.compare(VectorOperators.LT, 0x3C800000);
      ((ByteVector)
              normal.blend(subnormal, small).or(sign).convertShape(VectorOperators.I2B, QUARTER, 0))
          .intoArray(out, at + i);
    }
  }

  /** bfloat16(x / scale); small enough to be inlined. */
  private static FloatVector quotient(MemorySegment x, long offset, float scale) {
    IntVector bits =
        ((IntVector)
                ShortVector.fromMemorySegment(HALF, x, offset, ByteOrder.LITTLE_ENDIAN)
                    .convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0))
            .lanewise(VectorOperators.LSHL, 16)
            .reinterpretAsFloats()
            .div(scale)
            .reinterpretAsInts();
    return bits.add(bits.lanewise(VectorOperators.LSHR, 16).and(1).add(0x7FFF))
        .and(0xFFFF0000)
        .reinterpretAsFloats();
  }
}
