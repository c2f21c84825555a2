package dev.quench.cuda.standin;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** {@code setp} and {@code set}. */
final class Comparison implements Family {
  private static final Map<String, String> ORDERED =
      Map.ofEntries(
          Map.entry("eq", "=="),
          Map.entry("ne", "!="),
          Map.entry("lt", "<"),
          Map.entry("le", "<="),
          Map.entry("gt", ">"),
          Map.entry("ge", ">="));
  private static final Map<String, String> UNSIGNED =
      Map.of("lo", "<", "ls", "<=", "hi", ">", "hs", ">=");
  private static final Set<String> UNORDERED =
      Set.of("equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan");

  @Override
  public boolean covers(Form form) {
    return form.opcode().equals("setp") || form.opcode().equals("set");
  }

  @Override
  public String translate(Form form) {
    String comparison = comparison(form);
    Optional<String> combination = form.takeOne("and", "or", "xor");
    boolean flushes = form.take("ftz");
    if (form.opcode().equals("set")) {
      return set(form, comparison, combination, flushes);
    }
    Type type = form.needType();
    form.needSize(combination.isPresent() ? 4 : 3, combination.isPresent() ? 4 : 3);
    if (HalfArithmetic.isPair(type)) {
      return setPair(form, comparison, combination, flushes, type);
    }
    String result =
        compare(comparison, operand(form, 1, type, flushes), operand(form, 2, type, flushes), type);
    if (!(form.operand(0) instanceof Ptx.Pair(Ptx.Operand first, Ptx.Operand second))) {
      return form.write(0, Type.PRED, combine(form, combination, result));
    }
    return "{ const bool result = "
        + result
        + "; const bool third = "
        + (combination.isPresent() ? form.read(3, Type.PRED) : "false")
        + "; "
        + form.names().write(first, Type.PRED, combine(combination, "result", "third"))
        + " "
        + form.names().write(second, Type.PRED, combine(combination, "!result", "third"))
        + " }";
  }

  private static String comparison(Form form) {
    for (var choices : List.of(ORDERED.keySet(), UNSIGNED.keySet(), UNORDERED)) {
      Optional<String> found = form.takeOne(choices.toArray(String[]::new));
      if (found.isPresent()) {
        return found.get();
      }
    }
    throw new Untranslatable("no comparison");
  }

  /** Two results for the two halves of a pair. */
  private static String setPair(
      Form form, String comparison, Optional<String> combination, boolean flushes, Type type) {
    if (!(form.operand(0) instanceof Ptx.Pair(Ptx.Operand first, Ptx.Operand second))) {
      throw new Untranslatable("a pair compared into one predicate");
    }
    Type half = type == Type.F16X2 ? Type.F16 : Type.BF16;
    String format = HalfArithmetic.format(half) + "::value(u16(";
    StringBuilder text = new StringBuilder("{ ");
    text.append("const u32 a = ")
        .append(form.read(1, type))
        .append(", b = ")
        .append(form.read(2, type));
    text.append("; const bool third = ")
        .append(combination.isPresent() ? form.read(3, Type.PRED) : "false");
    text.append("; ");
    for (int half_ = 0; half_ < 2; half_++) {
      String shift = half_ == 0 ? "))" : " >> 16))";
      String a = flushed(format + "a" + shift, half, flushes);
      String b = flushed(format + "b" + shift, half, flushes);
      text.append(half_ == 0 ? "const bool low = " : "const bool high = ");
      text.append(combine(combination, compare(comparison, a, b, Type.F64), "third")).append("; ");
    }
    return text.append(form.names().write(first, Type.PRED, "low"))
        .append(' ')
        .append(form.names().write(second, Type.PRED, "high"))
        .append(" }")
        .toString();
  }

  private static String set(
      Form form, String comparison, Optional<String> combination, boolean flushes) {
    Type result = form.needType();
    Type type = form.needType();
    String value =
        combine(
            form,
            combination,
            compare(
                comparison,
                operand(form, 1, type, flushes),
                operand(form, 2, type, flushes),
                type));
    return switch (result) {
      case U32, S32, B32 -> form.write(0, Type.B32, value + " ? ~0u : 0u");
      case F32 -> form.write(0, Type.B32, value + " ? 0x3f800000u : 0u");
      case F16 -> form.write(0, Type.B16, value + " ? 0x3c00 : 0");
      case BF16 -> form.write(0, Type.B16, value + " ? 0x3f80 : 0");
      default -> throw new Untranslatable("a result of type " + result.ptx());
    };
  }

  private static String operand(Form form, int index, Type type, boolean flushes) {
    String value = form.read(index, type);
    if (type == Type.F16 || type == Type.BF16) {
      return flushed(HalfArithmetic.format(type) + "::value(" + value + ")", type, flushes);
    }
    return flushes ? "ftz(" + value + ")" : value;
  }

  private static String flushed(String value, Type type, boolean flushes) {
    return flushes ? "ftz_half<" + HalfArithmetic.format(type) + ">(" + value + ")" : value;
  }

  private static String compare(String comparison, String a, String b, Type type) {
    boolean real = !type.isInteger() && type != Type.PRED;
    if (UNORDERED.contains(comparison)) {
      if (!real) {
        throw new Untranslatable(comparison + " of integers");
      }
      return "(compare_" + comparison + "(" + a + ", " + b + "))";
    }
    if (real && comparison.equals("ne")) {
      return "(compare_ne(" + a + ", " + b + "))"; // false for NaN, unlike C++'s
    }
    String operator = ORDERED.get(comparison);
    if (operator == null) {
      operator = UNSIGNED.get(comparison);
    }
    return "(" + a + " " + operator + " " + b + ")";
  }

  private static String combine(Form form, Optional<String> combination, String result) {
    return combination.isPresent() ? combine(combination, result, form.read(3, Type.PRED)) : result;
  }

  private static String combine(Optional<String> combination, String result, String third) {
    return switch (combination.orElse("")) {
      case "and" -> "(" + result + " && " + third + ")";
      case "or" -> "(" + result + " || " + third + ")";
      case "xor" -> "(" + result + " != " + third + ")";
      default -> result;
    };
  }
}
