package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.quench.tensor.Bfloat16;
import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** Rows of elements from one dtype to another. */
final class Casts {
  private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
  private static final VectorSpecies<Integer> INTS = VectorShapes.FLOAT.withLanes(int.class);

  /** As many lanes in half the bits. */
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(VectorShapes.FLOAT.vectorBitSize() / 2));

  private Casts() {}

  /** Refuses pairs of dtypes that {@link #row} doesn't know. */
  static void require(DType from, DType to) {
    boolean floats = isFloat(from) && isFloat(to);
    boolean integer = from == DType.I8 && to == DType.F32;
    if (from != to && !floats && !integer) {
      throw new IllegalArgumentException("no cast from " + from + " to " + to);
    }
  }

  private static boolean isFloat(DType dtype) {
    return dtype == DType.F32 || dtype == DType.BF16 || dtype == DType.F16;
  }

  /** Casts count elements between byte offsets; equal dtypes are copied. */
  static void row(
      DType dtype, MemorySegment x, long from, DType target, MemorySegment y, long to, long count) {
    if (dtype == target) {
      MemorySegment.copy(x, from, y, to, dtype.bytes(count));
    } else if (dtype == DType.BF16 && target == DType.F32) {
      bf16ToF32(x, from, y, to, count);
    } else if (dtype == DType.F32 && target == DType.BF16) {
      f32ToBf16(x, from, y, to, count);
    } else if (dtype == DType.F16 && target == DType.F32) {
      f16ToF32(x, from, y, to, count);
    } else if (dtype == DType.F32 && target == DType.F16) {
      f32ToF16(x, from, y, to, count);
    } else if (dtype == DType.I8 && target == DType.F32) {
      i8ToF32(x, from, y, to, count);
    } else {
      for (long i = 0; i < count; i++) {
        FloatAccess.set(target, y, to, i, FloatAccess.get(dtype, x, from, i));
      }
    }
  }

  private static void bf16ToF32(MemorySegment x, long from, MemorySegment y, long to, long count) {
    for (long i = 0; i < count; i++) {
      y.set(JAVA_INT_UNALIGNED, to + i * 4, x.get(JAVA_SHORT_UNALIGNED, from + i * 2) << 16);
    }
  }

  /** As {@link Bfloat16#fromFloat}. */
  private static void f32ToBf16(MemorySegment x, long from, MemorySegment y, long to, long count) {
    long bulk = INTS.loopBound(count);
    for (long i = 0; i < bulk; i += INTS.length()) {
      IntVector bits = IntVector.fromMemorySegment(INTS, x, from + i * 4, LE);
      IntVector upper = bits.lanewise(VectorOperators.LSHR, 16);
      IntVector rounded = bits.add(upper.and(1)).add(0x7FFF).lanewise(VectorOperators.LSHR, 16);
      VectorMask<Integer> nan = bits.and(0x7FFFFFFF).compare(VectorOperators.GT, 0x7F800000);
      ((ShortVector)
              rounded.blend(upper.or(0x40), nan).convertShape(VectorOperators.I2S, SHORTS, 0))
          .intoMemorySegment(y, to + i * 2, LE);
    }
    for (long i = bulk; i < count; i++) {
      float value = x.get(JAVA_FLOAT_UNALIGNED, from + i * 4);
      y.set(JAVA_SHORT_UNALIGNED, to + i * 2, Bfloat16.fromFloat(value));
    }
  }

  private static void f16ToF32(MemorySegment x, long from, MemorySegment y, long to, long count) {
    for (long i = 0; i < count; i++) {
      short bits = x.get(JAVA_SHORT_UNALIGNED, from + i * 2);
      y.set(JAVA_FLOAT_UNALIGNED, to + i * 4, Float.float16ToFloat(bits));
    }
  }

  private static void f32ToF16(MemorySegment x, long from, MemorySegment y, long to, long count) {
    for (long i = 0; i < count; i++) {
      float value = x.get(JAVA_FLOAT_UNALIGNED, from + i * 4);
      y.set(JAVA_SHORT_UNALIGNED, to + i * 2, Float.floatToFloat16(value));
    }
  }

  private static void i8ToF32(MemorySegment x, long from, MemorySegment y, long to, long count) {
    for (long i = 0; i < count; i++) {
      y.set(JAVA_FLOAT_UNALIGNED, to + i * 4, x.get(JAVA_BYTE, from + i));
    }
  }
}
