package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

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

  /** Packs a row into ⌈count·bits/32⌉ words at {@code offset}. */
  static void pack(byte[] codes, int bits, MemorySegment out, long offset) {
    long mask = EACH_BYTE * ((1 << bits) - 1);
    long high = EACH_BYTE << (bits - 1);
    long bytes = Math.ceilDiv((long) codes.length * bits, 32) * 4;
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
  static void unpack(MemorySegment in, long offset, int bits, byte[] codes) {
    long mask = EACH_BYTE * ((1 << bits) - 1);
    long high = EACH_BYTE << (bits - 1);
    long extension = 0xFF ^ ((1 << bits) - 1);
    long bytes = Math.ceilDiv((long) codes.length * bits, 32) * 4;
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
}
