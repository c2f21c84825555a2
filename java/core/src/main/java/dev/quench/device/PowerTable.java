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
    for (int i = from; i < to; i++) {
      sums[(phase + i - from) & (RangeSearch.PARTIAL_SUMS - 1)] += power(bits[i]);
    }
  }

  private float power(int bits) {
    return switch (dtype) {
      case BF16 -> powers[(bits >>> 16) & 0x7FFF];
      case F16 -> powers[Float.floatToFloat16(Float.intBitsToFloat(bits)) & 0x7FFF];
      default -> search.orElseThrow().power(Float.intBitsToFloat(bits), dtype);
    };
  }
}
