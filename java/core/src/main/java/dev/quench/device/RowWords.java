package dev.quench.device;

import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;

/** A piece of a row, copied into the heap, where loops over it become vector code. */
final class RowWords {
  /**
   * Elements of a piece: what is computed from it stays in the first-level cache. A multiple of 32.
   */
  static final int ELEMENTS = 1024;

  /** F32: an element a word. BF16: two, the earlier one in the lower half; so with F16. */
  final int[] words = new int[ELEMENTS];

  private final MemorySegment memory = MemorySegment.ofArray(words);

  /** Copies elements; what is left of the last word is 0. */
  void load(HostMatrix x, long row, long column, int count) {
    long bytes = x.dtype().bytes(count);
    words[(int) ((bytes - 1) >>> 2)] = 0;
    MemorySegment.copy(x.memory(), x.offset(row, column), memory, 0, bytes);
  }

  void store(HostMatrix x, long row, long column, int count) {
    store(x.memory(), x.offset(row, column), x.dtype().bytes(count));
  }

  void store(MemorySegment target, long offset, long bytes) {
    MemorySegment.copy(memory, 0, target, offset, bytes);
  }

  /** Makes the words of F16 elements F32 ones. */
  void widenFloat16(int count) {
    for (int i = count - 1; i >= 0; i--) {
      short half = (short) (words[i >> 1] >>> ((i & 1) << 4));
      words[i] = Float.floatToRawIntBits(Float.float16ToFloat(half));
    }
  }

  static void requireFloat(DType dtype) {
    if (dtype != DType.BF16 && dtype != DType.F16 && dtype != DType.F32) {
      throw new IllegalArgumentException("not a float: " + dtype);
    }
  }
}
