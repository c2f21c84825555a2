package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.quench.tensor.Bfloat16;
import dev.quench.tensor.DType;
import dev.quench.tensor.Float8E4M3;
import dev.quench.tensor.Float8E8M0;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Single elements of tensors. */
final class FloatAccess {
  static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

  private FloatAccess() {}

  /** Element {@code i} from a byte offset on. */
  static float get(DType dtype, MemorySegment memory, long offset, long i) {
    return switch (dtype) {
      case F32 -> memory.get(JAVA_FLOAT_UNALIGNED, offset + i * 4);
      case BF16 -> Bfloat16.toFloat(memory.get(JAVA_SHORT_UNALIGNED, offset + i * 2));
      case F16 -> Float.float16ToFloat(memory.get(JAVA_SHORT_UNALIGNED, offset + i * 2));
      case I8 -> memory.get(BYTE, offset + i);
      case F8_E4M3 -> Float8E4M3.toFloat(memory.get(BYTE, offset + i));
      case F8_E8M0 -> Float8E8M0.toFloat(memory.get(BYTE, offset + i));
      default -> throw new IllegalArgumentException("not a float: " + dtype);
    };
  }

  static void set(DType dtype, MemorySegment memory, long offset, long i, float value) {
    switch (dtype) {
      case F32 -> memory.set(JAVA_FLOAT_UNALIGNED, offset + i * 4, value);
      case BF16 -> memory.set(JAVA_SHORT_UNALIGNED, offset + i * 2, Bfloat16.fromFloat(value));
      case F16 -> memory.set(JAVA_SHORT_UNALIGNED, offset + i * 2, Float.floatToFloat16(value));
      case F8_E4M3 -> memory.set(BYTE, offset + i, Float8E4M3.fromFloat(value));
      case F8_E8M0 -> memory.set(BYTE, offset + i, Float8E8M0.fromFloat(value));
      default -> throw new IllegalArgumentException("not a float: " + dtype);
    }
  }

  static float get(HostMatrix matrix, long row, long column) {
    return get(matrix.dtype(), matrix.memory(), matrix.offset(row, column), 0);
  }

  static void set(HostMatrix matrix, long row, long column, float value) {
    set(matrix.dtype(), matrix.memory(), matrix.offset(row, column), 0, value);
  }

  static byte getByte(HostMatrix matrix, long row, long column) {
    return matrix.memory().get(BYTE, matrix.offset(row, column));
  }

  static void setByte(HostMatrix matrix, long row, long column, byte value) {
    matrix.memory().set(BYTE, matrix.offset(row, column), value);
  }

  /** Element {@code i} of an I32 row. */
  static int getInt(HostMatrix row, long i) {
    return row.memory().get(JAVA_INT_UNALIGNED, row.offset(0, i));
  }
}
