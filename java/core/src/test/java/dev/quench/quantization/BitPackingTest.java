package dev.quench.quantization;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

final class BitPackingTest {
  private static byte[] inRange(byte[] any, int bits) {
    byte[] codes = new byte[any.length];
    for (int i = 0; i < any.length; i++) {
      codes[i] = (byte) (any[i] >> (8 - bits));
    }
    return codes;
  }

  @Property(seed = "1", tries = 500)
  void unpackingGivesTheCodesBack(
      @ForAll @Size(max = 140) byte[] any, @ForAll @IntRange(min = 1, max = 8) int bits) {
    byte[] codes = inRange(any, bits);
    int[] words = new int[(int) BitPacking.words(codes.length, bits)];
    BitPacking.pack(codes, bits, words);
    byte[] unpacked = new byte[codes.length];
    BitPacking.unpack(words, bits, unpacked);
    assertThat(unpacked).isEqualTo(codes);
  }

  /** The row read as one large number: Σ (code + 2^(b−1)) · 2^(i·b). */
  @Property(seed = "2", tries = 500)
  void wordsAreOneLittleEndianBitStream(
      @ForAll @Size(max = 140) byte[] any, @ForAll @IntRange(min = 1, max = 8) int bits) {
    byte[] codes = inRange(any, bits);
    BigInteger expected = BigInteger.ZERO;
    for (int i = 0; i < codes.length; i++) {
      BigInteger code = BigInteger.valueOf(codes[i] + (1L << (bits - 1)));
      expected = expected.or(code.shiftLeft(i * bits));
    }
    int[] words = new int[(int) BitPacking.words(codes.length, bits)];
    BitPacking.pack(codes, bits, words);
    BigInteger stream = BigInteger.ZERO;
    for (int i = 0; i < words.length; i++) {
      stream = stream.or(BigInteger.valueOf(Integer.toUnsignedLong(words[i])).shiftLeft(32 * i));
    }
    assertThat(stream).isEqualTo(expected);
  }

  @Test
  void eightCodesOfFourBitsFillAWord() {
    int[] words = new int[1];
    BitPacking.pack(new byte[] {-8, -7, -6, -5, 4, 5, 6, 7}, 4, words);
    assertThat(words[0]).isEqualTo(0xFEDC3210);
  }

  @Test
  void aCodeOfThreeBitsStraddlesWords() {
    byte[] codes = new byte[11];
    codes[10] = 3; // stored as 7 in bits 30 to 32
    for (int i = 0; i < 10; i++) {
      codes[i] = -4;
    }
    int[] words = new int[2];
    BitPacking.pack(codes, 3, words);
    assertThat(words).containsExactly(0xC0000000, 1);
  }
}
