package dev.quench.cuda.standin;

/** Turns operands of PTX into C++ expressions, under the names of a scope. */
final class Operands {
  private final Scope scope;

  Operands(Scope scope) {
    this.scope = scope;
  }

  Place place(String name) {
    return scope.find(name).orElseThrow(() -> new Untranslatable("unknown name '" + name + "'"));
  }

  Place.Register register(Ptx.Operand operand) {
    if (operand instanceof Ptx.Name(String name)
        && place(name) instanceof Place.Register register) {
      return register;
    }
    throw new Untranslatable("operand " + operand + " is not a register");
  }

  /** An expression of the C++ type {@code type.cpp()}. */
  String read(Ptx.Operand operand, Type type) {
    return switch (operand) {
      case Ptx.Name(String name) -> readName(name, type);
      case Ptx.Offset(String variable, long bytes) ->
          type.cpp() + "(" + variableAddress(variable) + " + " + bytes + ")";
      case Ptx.Whole(long value) -> whole(value, type);
      case Ptx.Real real -> real(real, type);
      case Ptx.Not(Ptx.Operand inner) when type == Type.PRED -> "!" + read(inner, type);
      default -> throw new Untranslatable("operand " + operand + " can't be read as " + type.ptx());
    };
  }

  private String readName(String name, Type type) {
    var special = SpecialRegisters.expression(name);
    if (special.isPresent()) {
      return type.cpp() + "(" + special.get() + ")";
    }
    if (place(name) instanceof Place.Register register) {
      return readRegister(register, type);
    }
    return type.cpp() + "(" + variableAddress(name) + ")";
  }

  private static String readRegister(Place.Register register, Type type) {
    boolean fits =
        type == Type.PRED
            ? register.type() == Type.PRED
            : type.isNativeFloat()
                ? register.type().bits() == type.bits()
                : register.type().bits() >= type.bits() && register.type() != Type.PRED;
    if (!fits) {
      throw new Untranslatable(
          "a register of type " + register.type().ptx() + " can't be read as " + type.ptx());
    }
    return switch (type) {
      case F32 -> "f(" + register.cpp() + ")";
      case F64 -> "d(" + register.cpp() + ")";
      case PRED -> register.cpp();
      default ->
          register.type().bits() == type.bits() && !type.isSigned()
              ? register.cpp()
              : type.cpp() + "(" + register.cpp() + ")";
    };
  }

  private static String whole(long value, Type type) {
    return switch (type) {
      case PRED -> value == 0 ? "false" : "true";
      case F32, F64 -> throw new Untranslatable("an integer constant as " + type.ptx());
      case B128 -> "u128(" + value + "ll)";
      default -> {
        long bits = type.bits() == 64 ? value : value & ((1L << type.bits()) - 1);
        String unsigned =
            bits >= 0 && bits < 1L << 16 ? bits + "u" : "0x" + Long.toHexString(bits) + "u";
        yield type.cpp() + "(" + unsigned + (type.bits() == 64 ? "ll)" : ")");
      }
    };
  }

  private static String real(Ptx.Real real, Type type) {
    if (type == Type.F32 && real.type() == Type.F64) {
      int bits = Float.floatToRawIntBits((float) Double.longBitsToDouble(real.bits()));
      return "f(0x" + Integer.toHexString(bits) + "u)";
    }
    if (type.bits() != real.type().bits()) {
      throw new Untranslatable("a constant " + real.type().ptx() + " as " + type.ptx());
    }
    String bits = "0x" + Long.toHexString(real.bits()) + (type.bits() == 64 ? "ull" : "u");
    return switch (type) {
      case F32 -> "f(" + bits + ")";
      case F64 -> "d(" + bits + ")";
      default -> type.cpp() + "(" + bits + ")";
    };
  }

  /** A statement that sets a register to a value of the C++ type {@code type.cpp()}. */
  String write(Ptx.Operand operand, Type type, String expression) {
    if (operand.equals(new Ptx.Name("_"))) {
      return "(void)(" + expression + ");";
    }
    Place.Register register = register(operand);
    boolean fits =
        (type == Type.PRED) == (register.type() == Type.PRED)
            && register.type().bits() >= type.bits()
            && (!type.isNativeFloat() || register.type().bits() == type.bits());
    if (!fits) {
      throw new Untranslatable(
          "a value of type " + type.ptx() + " in a register of type " + register.type().ptx());
    }
    if (type.isNativeFloat()) {
      return register.cpp() + " = bits(" + expression + ");";
    }
    boolean extends_ = register.type().bits() > type.bits();
    return register.cpp()
        + " = "
        + (extends_ ? type.cpp() + "(" + expression + ")" : expression)
        + ";";
  }

  /** The value of a variable's name: its offset in shared memory, elsewhere its address. */
  private String variableAddress(String name) {
    return switch (place(name)) {
      case Place.Shared(String offset) -> "u64(" + offset + ")";
      case Place.Memory memory -> memory.address();
      default -> throw new Untranslatable("'" + name + "' is not a variable");
    };
  }

  /**
   * The host address of {@code bytes} bytes that an operand {@code [base + offset]} names.
   *
   * @param shared true if the base is an offset in shared memory, false if it is an address
   */
  String address(Ptx.Operand operand, boolean shared, long bytes) {
    if (!(operand instanceof Ptx.Address(Ptx.Operand base, long offset))) {
      throw new Untranslatable("operand " + operand + " is not an address");
    }
    return shared
        ? "shared.at(" + sharedOffset(base, offset) + ", " + bytes + ")"
        : plainAddress(base, offset);
  }

  /** The offset in shared memory that an operand {@code [base + offset]} names. */
  String sharedOffset(Ptx.Operand operand) {
    if (!(operand instanceof Ptx.Address(Ptx.Operand base, long offset))) {
      throw new Untranslatable("operand " + operand + " is not an address");
    }
    return sharedOffset(base, offset);
  }

  private String plainAddress(Ptx.Operand base, long offset) {
    if (base instanceof Ptx.Name(String name) && place(name) instanceof Place.Shared) {
      throw new Untranslatable("a shared variable outside the shared state space");
    }
    return "(" + read(base, Type.U64) + (offset == 0 ? "" : " + " + offset) + ")";
  }

  private String sharedOffset(Ptx.Operand base, long offset) {
    String start =
        base instanceof Ptx.Name(String name) && place(name) instanceof Place.Shared(String place)
            ? "u32(" + place + ")"
            : read(base, Type.U32);
    return start + (offset == 0 ? "" : " + " + offset);
  }
}
