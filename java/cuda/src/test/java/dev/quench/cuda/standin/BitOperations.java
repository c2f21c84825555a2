package dev.quench.cuda.standin;

import static dev.quench.cuda.standin.IntegerArithmetic.call;

import java.util.Set;

/** Logic, shifts, and what else works on single bits and bytes. */
final class BitOperations implements Family {
  private static final Set<String> OPCODES =
      Set.of(
          "and", "or", "xor", "not", "cnot", "shl", "shr", "shf", "popc", "clz", "bfind", "brev",
          "bfe", "bfi", "prmt", "lop3");

  @Override
  public boolean covers(Form form) {
    return OPCODES.contains(form.opcode());
  }

  @Override
  public String translate(Form form) {
    return switch (form.opcode()) {
      case "and" -> logic(form, " & ");
      case "or" -> logic(form, " | ");
      case "xor" -> logic(form, " ^ ");
      case "not" -> not(form);
      case "cnot" -> cnot(form);
      case "shl", "shr" -> shift(form);
      case "shf" -> funnelShift(form);
      case "popc", "clz" -> count(form);
      case "bfind" -> findLeading(form);
      case "brev" -> reverse(form);
      case "bfe" -> extract(form);
      case "bfi" -> insert(form);
      case "prmt" -> permute(form);
      default -> lop3(form);
    };
  }

  private static String logic(Form form, String operator) {
    Type type = form.needType();
    form.needSize(3, 3);
    return form.write(0, type, form.read(1, type) + operator + form.read(2, type));
  }

  private static String not(Form form) {
    Type type = form.needType();
    String value = form.read(1, type);
    return form.write(0, type, type == Type.PRED ? "!" + value : type.cpp() + "(~" + value + ")");
  }

  private static String cnot(Form form) {
    Type type = form.needType();
    return form.write(0, type, form.read(1, type) + " == 0");
  }

  private static String shift(Form form) {
    Type type = form.needType();
    return form.write(
        0, type, call(form.opcode() + "_", form.read(1, type), form.read(2, Type.U32)));
  }

  private static String funnelShift(Form form) {
    String function = "shf_" + form.need("l", "r") + "_" + form.need("wrap", "clamp");
    Type type = form.needType();
    return form.write(
        0, type, call(function, form.read(1, type), form.read(2, type), form.read(3, Type.U32)));
  }

  private static String count(Form form) {
    return form.write(0, Type.U32, call(form.opcode() + "_", form.read(1, form.needType())));
  }

  private static String findLeading(Form form) {
    String function = form.take("shiftamt") ? "bfind_shiftamt" : "bfind";
    return form.write(0, Type.U32, call(function, form.read(1, form.needType())));
  }

  private static String reverse(Form form) {
    Type type = form.needType();
    return form.write(0, type, call("brev", form.read(1, type)));
  }

  private static String extract(Form form) {
    Type type = form.needType();
    return form.write(
        0, type, call("bfe", form.read(1, type), form.read(2, Type.U32), form.read(3, Type.U32)));
  }

  private static String insert(Form form) {
    Type type = form.needType();
    return form.write(
        0,
        type,
        call(
            "bfi",
            form.read(1, type),
            form.read(2, type),
            form.read(3, Type.U32),
            form.read(4, Type.U32)));
  }

  private static String permute(Form form) {
    Type type = form.needType();
    String function =
        "prmt"
            + form.takeOne("f4e", "b4e", "rc8", "ecl", "ecr", "rc16").map(m -> "_" + m).orElse("");
    return form.write(
        0, type, call(function, form.read(1, type), form.read(2, type), form.read(3, type)));
  }

  private static String lop3(Form form) {
    Type type = form.needType();
    form.needSize(5, 5);
    return form.write(
        0,
        type,
        "lop3<"
            + (form.constant(4) & 0xFF)
            + ">("
            + form.read(1, type)
            + ", "
            + form.read(2, type)
            + ", "
            + form.read(3, type)
            + ")");
  }
}
