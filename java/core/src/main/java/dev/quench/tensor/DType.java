package dev.quench.tensor;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Element type of a tensor: every type of the safetensors format. Elements narrower than a byte are
 * stored densely, the first element in the low bits.
 *
 * @see <a href="https://github.com/huggingface/safetensors">safetensors</a>
 */
public enum DType {
  BOOL("BOOL", 8),
  F4("F4", 4),
  F6_E2M3("F6_E2M3", 6),
  F6_E3M2("F6_E3M2", 6),
  U8("U8", 8),
  I8("I8", 8),
  F8_E5M2("F8_E5M2", 8),
  F8_E4M3("F8_E4M3", 8),
  F8_E8M0("F8_E8M0", 8),
  F8_E4M3FNUZ("F8_E4M3FNUZ", 8),
  F8_E5M2FNUZ("F8_E5M2FNUZ", 8),
  I16("I16", 16),
  U16("U16", 16),
  F16("F16", 16),
  BF16("BF16", 16),
  I32("I32", 32),
  U32("U32", 32),
  F32("F32", 32),
  C64("C64", 64),
  F64("F64", 64),
  I64("I64", 64),
  U64("U64", 64);

  private static final Map<String, DType> BY_NAME = new HashMap<>();

  static {
    for (DType dtype : values()) {
      BY_NAME.put(dtype.safetensorsName, dtype);
    }
  }

  private final String safetensorsName;
  private final int bits;

  DType(String safetensorsName, int bits) {
    this.safetensorsName = safetensorsName;
    this.bits = bits;
  }

  /** The type of that name in a safetensors header, if there is one. */
  public static Optional<DType> ofSafetensors(String name) {
    return Optional.ofNullable(BY_NAME.get(name));
  }

  /** Name in a safetensors header, such as {@code "BF16"}. */
  public String safetensorsName() {
    return safetensorsName;
  }

  /** Bits of one element. */
  public int bits() {
    return bits;
  }

  /**
   * Bytes of {@code elements} densely stored elements.
   *
   * @throws ArithmeticException if they don't fill whole bytes, or overflow 63 bits
   */
  public long bytes(long elements) {
    long totalBits = Math.multiplyExact(elements, bits);
    if (totalBits % 8 != 0) {
      throw new ArithmeticException(elements + " elements of " + this + " don't fill whole bytes");
    }
    return totalBits / 8;
  }

  /** True for the types that checkpoints hold trained weights in: F64, F32, F16, BF16. */
  public boolean isWeightFloat() {
    return this == F32 || this == BF16 || this == F16 || this == F64;
  }
}
