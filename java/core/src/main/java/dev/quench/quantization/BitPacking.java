package dev.quench.quantization;

import java.util.Arrays;

/**
 * Dense packing of integer codes into 32-bit words, behaviour reference §5.4: code q of b bits is
 * stored as q + 2^(b−1) in bits [i·b, (i+1)·b) of the row's little-endian bit stream, so that codes
 * of 3, 5, 6 and 7 bits straddle words. What is left of the last word is 0.
 */
public final class BitPacking {
  private BitPacking() {}

  /** Words that a row of {@code count} codes takes. */
  public static long words(long count, int bits) {
    return Math.ceilDiv(Math.multiplyExact(count, bits), 32);
  }

  /** Packs one row. */
  public static void pack(byte[] codes, int bits, int[] words) {
    Arrays.fill(words, 0);
    int offset = 1 << (bits - 1);
    int mask = (1 << bits) - 1;
    for (int i = 0; i < codes.length; i++) {
      long bit = (long) i * bits;
      int word = (int) (bit >>> 5);
      int shift = (int) (bit & 31);
      int code = (codes[i] + offset) & mask;
      words[word] |= code << shift;
      if (shift + bits > 32) {
        words[word + 1] |= code >>> (32 - shift);
      }
    }
  }

  /** The inverse of {@link #pack}. */
  public static void unpack(int[] words, int bits, byte[] codes) {
    int offset = 1 << (bits - 1);
    int mask = (1 << bits) - 1;
    for (int i = 0; i < codes.length; i++) {
      long bit = (long) i * bits;
      int word = (int) (bit >>> 5);
      int shift = (int) (bit & 31);
      int code = words[word] >>> shift;
      if (shift + bits > 32) {
        code |= words[word + 1] << (32 - shift);
      }
      codes[i] = (byte) ((code & mask) - offset);
    }
  }
}
