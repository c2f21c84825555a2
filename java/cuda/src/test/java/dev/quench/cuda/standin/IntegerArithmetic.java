package dev.quench.cuda.standin;

import java.util.Set;

/** Arithmetic on integers. */
final class IntegerArithmetic implements Family {
  private static final Set<String> OPCODES =
      Set.of(
          "add", "sub", "mul", "mad", "mul24", "mad24", "sad", "div", "rem", "abs", "neg", "min",
          "max", "addc", "subc", "madc", "dp4a");

  @Override
  public boolean covers(Form form) {
    return OPCODES.contains(form.opcode()) && form.lastType().filter(Type::isInteger).isPresent();
  }

  @Override
  public String translate(Form form) {
    return switch (form.opcode()) {
      case "add", "sub" -> sum(form);
      case "addc", "subc" -> carriedSum(form);
      case "mul", "mad", "madc" -> product(form);
      case "mul24", "mad24" -> product24(form);
      case "dp4a" -> dotProduct(form);
      case "sad" -> ternary(form, "sad");
      case "div", "rem" -> binary(form, form.opcode() + "_");
      case "min", "max" -> binary(form, form.opcode() + "_");
      case "abs" -> unary(form, "abs_");
      default -> unary(form, "neg_");
    };
  }

  private static String sum(Form form) {
    if (form.has("cc")) {
      return carriedSum(form);
    }
    boolean saturates = form.take("sat");
    Type type = form.needType();
    form.needSize(3, 3);
    String name = form.opcode();
    if (saturates) {
      return form.write(
          0, type, name + "_sat(" + form.read(1, type) + ", " + form.read(2, type) + ")");
    }
    Type bits = bits(type);
    String sign = name.equals("add") ? " + " : " - ";
    return form.write(
        0, bits, bits.cpp() + "(" + form.read(1, bits) + sign + form.read(2, bits) + ")");
  }

  /** {@code add.cc}, {@code addc}, {@code sub.cc}, {@code subc}, with the thread's carry flag. */
  private static String carriedSum(Form form) {
    String in = form.opcode().endsWith("c") ? "carry" : "false";
    String out = form.take("cc") ? "carry" : "ignored_carry";
    Type type = bits(form.needType());
    form.needSize(3, 3);
    String name = form.opcode().substring(0, 3) + "_carry";
    return form.write(0, type, call(name, form.read(1, type), form.read(2, type), in, out));
  }

  private static String product(Form form) {
    String part = form.need("lo", "hi", "wide");
    boolean carries = form.has("cc") || form.opcode().equals("madc");
    String in = form.opcode().equals("madc") ? "carry" : "false";
    String out = form.take("cc") ? "carry" : "ignored_carry";
    Type type = form.needType();
    boolean adds = !form.opcode().equals("mul");
    form.needSize(adds ? 4 : 3, adds ? 4 : 3);
    Type result = part.equals("wide") ? type.wide() : type;
    Type bits = bits(result);
    String product =
        switch (part) {
          case "wide" -> bits.cpp() + "(" + wide(form, type, 1) + " * " + wide(form, type, 2) + ")";
          case "hi" ->
              bits.cpp() + "(" + call("mul_hi", form.read(1, type), form.read(2, type)) + ")";
          default -> low(form, bits);
        };
    if (!adds) {
      return form.write(0, bits, product);
    }
    String addend = form.read(3, bits);
    return form.write(
        0,
        bits,
        carries
            ? call("add_carry", product, addend, in, out)
            : bits.cpp() + "(" + product + " + " + addend + ")");
  }

  private static String wide(Form form, Type type, int index) {
    return type.wide().cpp() + "(" + form.read(index, type) + ")";
  }

  /** Products of 16 bits are made in 32, so that C++ doesn't make them in signed int. */
  private static String low(Form form, Type bits) {
    String product = form.read(1, bits) + " * " + form.read(2, bits);
    return bits.bits() < 32
        ? bits.cpp() + "(u32(" + form.read(1, bits) + ") * u32(" + form.read(2, bits) + "))"
        : bits.cpp() + "(" + product + ")";
  }

  private static String product24(Form form) {
    String name = "mul24_" + form.need("lo", "hi");
    Type type = form.needType();
    Type bits = bits(type);
    String product = bits.cpp() + "(" + call(name, form.read(1, type), form.read(2, type)) + ")";
    return form.write(
        0, bits, form.opcode().equals("mad24") ? product + " + " + form.read(3, bits) : product);
  }

  private static String dotProduct(Form form) {
    Type a = form.needType();
    Type b = form.needType();
    Type result = a.isSigned() || b.isSigned() ? Type.S32 : Type.U32;
    String name =
        "dp4a<" + (a.isSigned() ? "s8" : "u8") + ", " + (b.isSigned() ? "s8" : "u8") + ">";
    return form.write(
        0,
        Type.U32,
        call(
            name,
            form.read(1, Type.U32),
            form.read(2, Type.U32),
            "u32(" + form.read(3, result) + ")"));
  }

  private static String unary(Form form, String function) {
    Type type = form.needType();
    form.needSize(2, 2);
    return form.write(0, type, call(function, form.read(1, type)));
  }

  private static String binary(Form form, String function) {
    Type type = form.needType();
    form.needSize(3, 3);
    return form.write(0, type, call(function, form.read(1, type), form.read(2, type)));
  }

  private static String ternary(Form form, String function) {
    Type type = form.needType();
    form.needSize(4, 4);
    return form.write(
        0, type, call(function, form.read(1, type), form.read(2, type), form.read(3, type)));
  }

  static String call(String function, String... arguments) {
    return function + "(" + String.join(", ", arguments) + ")";
  }

  /** The type of raw bits of the same width. */
  static Type bits(Type type) {
    return switch (type.bits()) {
      case 8 -> Type.B8;
      case 16 -> Type.B16;
      case 32 -> Type.B32;
      case 64 -> Type.B64;
      default -> throw new Untranslatable("arithmetic of type " + type.ptx());
    };
  }
}
