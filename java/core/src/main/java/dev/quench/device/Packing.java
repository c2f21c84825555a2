package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Dense packing, eight codes at a time: their low bits are squeezed together by one instruction
 * (PEXT, or its like), and eight codes of b bits fill b whole bytes. Adding 2^(b−1) to a code of b
 * bits is inverting its highest bit.
 */
final class Packing {
  private static final VarHandle EIGHT =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final long EACH_BYTE = 0x0101010101010101L;

  private Packing() {}

  /**
   * Packs a row at {@code offset}.
   *
   * @param target I32: integers; U8: E2M1 codes
   */
  static void pack(byte[] codes, int bits, DType target, MemorySegment out, long offset) {
    long mask = EACH_BYTE * ((1 << bits) - 1);
    long high = inverted(bits, target);
    long bytes = bytes(codes.length, bits, target);
    int i = 0;
    long at = 0;
    if (bits == 4) {
      for (; i + 8 <= codes.length; i += 8, at += 4) {
        long eight = (long) EIGHT.get(codes, i);
        out.set(JAVA_INT_UNALIGNED, offset + at, (int) Long.compress(eight ^ high, mask));
      }
    } else {
      // Each store writes past its own bytes; the next one puts that right.
      for (; i + 8 <= codes.length && at + 8 <= bytes; i += 8, at += bits) {
        long eight = (long) EIGHT.get(codes, i);
        out.set(JAVA_LONG_UNALIGNED, offset + at, Long.compress(eight ^ high, mask));
      }
    }
    for (; at < bytes; i += 8, at += bits) {
      long eight = 0;
      int count = Math.clamp(codes.length - i, 0, 8);
      for (int k = 0; k < count; k++) {
        eight |= ((codes[i + k] ^ high) & 0xFFL) << (8 * k);
      }
      long packed = Long.compress(eight, mask);
      for (int k = 0; k < bits && at + k < bytes; k++) {
        out.set(JAVA_BYTE, offset + at + k, (byte) (packed >>> (8 * k)));
      }
    }
  }

  /** The inverse of {@link #pack}. */
  static void unpack(MemorySegment in, long offset, int bits, DType source, byte[] codes) {
    long mask = EACH_BYTE * ((1 << bits) - 1);
    long high = inverted(bits, source);
    long extension = 0xFF ^ ((1 << bits) - 1);
    long bytes = bytes(codes.length, bits, source);
    long at = 0;
    for (int i = 0; i < codes.length; i += 8, at += bits) {
      long packed = 0;
      if (at + 8 <= bytes) {
        packed = in.get(JAVA_LONG_UNALIGNED, offset + at);
      } else {
        for (int k = 0; at + k < bytes; k++) {
          packed |= (in.get(JAVA_BYTE, offset + at + k) & 0xFFL) << (8 * k);
        }
      }
      long eight = Long.expand(packed, mask) ^ high;
      long negative = (eight & high) >>> (bits - 1);
      eight |= negative * extension;
      if (i + 8 <= codes.length) {
        EIGHT.set(codes, i, eight);
      } else {
        for (int k = 0; i + k < codes.length; k++) {
          codes[i + k] = (byte) (eight >>> (8 * k));
        }
      }
    }
  }

  /** The bits of eight codes that packing inverts. */
  private static long inverted(int bits, DType packed) {
    return packed == DType.I32 ? EACH_BYTE << (bits - 1) : 0;
  }

  private static long bytes(int count, int bits, DType packed) {
    return packed.bytes(Math.ceilDiv((long) count * bits, packed.bits()));
  }
}
