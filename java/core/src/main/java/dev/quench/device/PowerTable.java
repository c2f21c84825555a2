package dev.quench.device;

import dev.quench.quantization.RangeSearch;
import dev.quench.tensor.DType;
import java.util.Optional;

/**
 * {@link RangeSearch#power} of all differences that a dtype of 16 bits has; of others it's
 * computed.
 */
final class PowerTable {
  static final PowerTable NONE = new PowerTable(Optional.empty(), DType.F32);

  /** Of the partial sums. */
  private static final int LAST = RangeSearch.PARTIAL_SUMS - 1;

  private final Optional<RangeSearch> search;
  private final DType dtype;
  private final float[] powers;

  private PowerTable(Optional<RangeSearch> search, DType dtype) {
    this.search = search;
    this.dtype = dtype;
    this.powers = new float[search.isEmpty() || dtype == DType.F32 ? 0 : 1 << 15];
    for (int bits = 0; bits < powers.length; bits++) {
      float difference =
          dtype == DType.BF16
              ? Float.intBitsToFloat(bits << 16)
              : Float.float16ToFloat((short) bits);
      powers[bits] = search.orElseThrow().power(difference, dtype);
    }
  }

  /** This, or another if it isn't for that search. */
  PowerTable orOther(RangeSearch wanted, DType wantedDtype) {
    boolean same =
        dtype == wantedDtype && search.map(RangeSearch::norm).equals(Optional.of(wanted.norm()));
    return same ? this : new PowerTable(Optional.of(wanted), wantedDtype);
  }

  /**
   * Adds the power of each difference from … to − 1 to the partial sums in turn.
   *
   * @param bits of the differences as F32
   * @param phase partial sum of the first
   */
  void add(int[] bits, int from, int to, int phase, float[] sums) {
    switch (dtype) {
      case BF16 -> addBfloat16(bits, from, to, phase, sums);
      case F16 -> {
        for (int i = from; i < to; i++) {
          int half = Float.floatToFloat16(Float.intBitsToFloat(bits[i])) & 0x7FFF;
          sums[(phase + i - from) & LAST] += powers[half];
        }
      }
      default -> {
        for (int i = from; i < to; i++) {
          float difference = Float.intBitsToFloat(bits[i]);
          sums[(phase + i - from) & LAST] += search.orElseThrow().power(difference, dtype);
        }
      }
    }
  }

  private void addBfloat16(int[] bits, int from, int to, int phase, float[] sums) {
    float[] table = powers;
    int i = from;
    for (; i < to && ((phase + i - from) & LAST) != 0; i++) {
      sums[(phase + i - from) & LAST] += table[(bits[i] >>> 16) & 0x7FFF];
    }
    for (; i + RangeSearch.PARTIAL_SUMS <= to; i += RangeSearch.PARTIAL_SUMS) {
      for (int k = 0; k < RangeSearch.PARTIAL_SUMS; k++) {
        sums[k] += table[(bits[i + k] >>> 16) & 0x7FFF];
      }
    }
    for (int k = 0; i + k < to; k++) {
      sums[k] += table[(bits[i + k] >>> 16) & 0x7FFF];
    }
  }
}
