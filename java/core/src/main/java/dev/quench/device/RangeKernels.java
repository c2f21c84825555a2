package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.quench.tensor.Bfloat16;
import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** Finds the range of contiguous elements. */
final class RangeKernels {
  private static final VectorSpecies<Short> S =
      VectorSpecies.of(short.class, VectorShapes.FLOAT.vectorShape());

  /** Keys of +infinity and −infinity: NaNs lie beyond. */
  private static final short POSITIVE_INFINITY = 0x7F80;

  private static final short NEGATIVE_INFINITY = (short) ~0x7F80;

  private RangeKernels() {}

  static Range range(DType dtype, MemorySegment memory, long offset, long count) {
    if (dtype == DType.BF16) {
      return bfloat16(memory, offset, count);
    }
    float min = 0;
    float max = 0;
    for (long i = 0; i < count; i++) {
      float value = FloatAccess.get(dtype, memory, offset, i);
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
    return new Range(min, max);
  }

  /**
   * The bit patterns of floats, with the magnitude bits of negative ones inverted, are ordered like
   * the floats when read as signed integers; so the range is found without widening.
   */
  private static Range bfloat16(MemorySegment memory, long offset, long count) {
    long bulk = S.loopBound(count);
    ShortVector mins = ShortVector.zero(S);
    ShortVector maxs = ShortVector.zero(S);
    for (long i = 0; i < bulk; i += S.length()) {
      ShortVector bits =
          ShortVector.fromMemorySegment(S, memory, offset + i * 2, ByteOrder.LITTLE_ENDIAN);
      ShortVector key =
          bits.lanewise(VectorOperators.ASHR, 15)
              .lanewise(VectorOperators.AND, (short) 0x7FFF)
              .lanewise(VectorOperators.XOR, bits);
      mins = mins.min(key);
      maxs = maxs.max(key);
    }
    short min = mins.reduceLanes(VectorOperators.MIN);
    short max = maxs.reduceLanes(VectorOperators.MAX);
    for (long i = bulk; i < count; i++) {
      short bits = memory.get(JAVA_SHORT_UNALIGNED, offset + i * 2);
      short key = (short) (bits ^ ((bits >> 15) & 0x7FFF));
      min = (short) Math.min(min, key);
      max = (short) Math.max(max, key);
    }
    if (max > POSITIVE_INFINITY || min < NEGATIVE_INFINITY) {
      return new Range(Float.NaN, Float.NaN);
    }
    return new Range(value(min), value(max));
  }

  private static float value(short key) {
    return Bfloat16.toFloat((short) (key ^ ((key >> 15) & 0x7FFF)));
  }
}
