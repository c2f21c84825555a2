package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

/** Counts equal codes. */
final class Agreement {
  private long equal;
  private long total;

  /** Codes of 4 or 8 bits. */
  void count(byte[] expected, byte[] actual, int bits) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < expected.length; i++) {
      int differing = expected[i] ^ actual[i];
      if (bits == 8) {
        equal += differing == 0 ? 1 : 0;
      } else {
        equal += ((differing & 0x0f) == 0 ? 1 : 0) + ((differing & 0xf0) == 0 ? 1 : 0);
      }
    }
    total += expected.length * 8L / bits;
  }

  /** Share of equal codes; 1 only if all are. */
  double share() {
    return (double) equal / total;
  }
}
