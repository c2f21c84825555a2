package dev.quench.cuda.standin;

import java.util.Locale;
import java.util.Optional;

/** The fundamental types of PTX, with the C++ type that a value of it is read as. */
enum Type {
  PRED(1, "bool"),
  B8(8, "u8"),
  B16(16, "u16"),
  B32(32, "u32"),
  B64(64, "u64"),
  B128(128, "u128"),
  U8(8, "u8"),
  U16(16, "u16"),
  U32(32, "u32"),
  U64(64, "u64"),
  S8(8, "s8"),
  S16(16, "s16"),
  S32(32, "s32"),
  S64(64, "s64"),
  F16(16, "u16"),
  F16X2(32, "u32"),
  BF16(16, "u16"),
  BF16X2(32, "u32"),
  E4M3(8, "u8"),
  E5M2(8, "u8"),
  E4M3X2(16, "u16"),
  E5M2X2(16, "u16"),
  TF32(32, "u32"),
  F32(32, "f32"),
  F64(64, "f64");

  private final int bits;
  private final String cpp;

  Type(int bits, String cpp) {
    this.bits = bits;
    this.cpp = cpp;
  }

  /** The type that a modifier such as {@code s32} names. */
  static Optional<Type> named(String modifier) {
    for (Type type : values()) {
      if (type.ptx().equals(modifier)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }

  String ptx() {
    return name().toLowerCase(Locale.ROOT);
  }

  int bits() {
    return bits;
  }

  int bytes() {
    return bits / 8;
  }

  /** The C++ type of a value: an integer of raw bits but for f32, f64 and predicates. */
  String cpp() {
    return cpp;
  }

  /** The C++ type of a register or a memory element: always unsigned bits, or bool. */
  String bitsCpp() {
    return this == PRED ? "bool" : "u" + bits;
  }

  boolean isSigned() {
    return name().startsWith("S");
  }

  boolean isInteger() {
    return "BUS".indexOf(name().charAt(0)) >= 0 && !isBrainFloat();
  }

  private boolean isBrainFloat() {
    return this == BF16 || this == BF16X2;
  }

  /** True for the types that C++ computes with directly. */
  boolean isNativeFloat() {
    return this == F32 || this == F64;
  }

  /** The signed or unsigned integer type of twice the width. */
  Type wide() {
    return named(name().substring(0, 1).toLowerCase(Locale.ROOT) + 2 * bits)
        .orElseThrow(() -> new IllegalStateException("no type twice as wide as " + ptx()));
  }
}
