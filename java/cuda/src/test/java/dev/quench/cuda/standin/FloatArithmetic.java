package dev.quench.cuda.standin;

import static dev.quench.cuda.standin.IntegerArithmetic.call;

import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Arithmetic on f32 and f64. */
final class FloatArithmetic implements Family {
  private static final Map<String, Integer> OPERANDS =
      Map.ofEntries(
          Map.entry("add", 2),
          Map.entry("sub", 2),
          Map.entry("mul", 2),
          Map.entry("div", 2),
          Map.entry("fma", 3),
          Map.entry("mad", 3),
          Map.entry("min", 2),
          Map.entry("max", 2),
          Map.entry("abs", 1),
          Map.entry("neg", 1),
          Map.entry("copysign", 2),
          Map.entry("rcp", 1),
          Map.entry("sqrt", 1),
          Map.entry("rsqrt", 1),
          Map.entry("ex2", 1),
          Map.entry("lg2", 1),
          Map.entry("sin", 1),
          Map.entry("cos", 1),
          Map.entry("tanh", 1),
          Map.entry("testp", 1));
  private static final Set<String> BITWISE = Set.of("abs", "neg", "copysign");

  @Override
  public boolean covers(Form form) {
    return OPERANDS.containsKey(form.opcode())
        && form.lastType().filter(Type::isNativeFloat).isPresent();
  }

  @Override
  public String translate(Form form) {
    int count = OPERANDS.getOrDefault(form.opcode(), 0);
    form.needSize(count + 1, count + 1);
    if (form.opcode().equals("testp")) {
      return testProperty(form);
    }
    return BITWISE.contains(form.opcode()) ? bitwise(form) : arithmetic(form, count);
  }

  private static String testProperty(Form form) {
    String property =
        form.need("finite", "infinite", "number", "notanumber", "normal", "subnormal");
    Type type = form.needType();
    return form.write(0, Type.PRED, call("testp_" + property, form.read(1, type)));
  }

  /** Sign operations move bits; a NaN keeps its payload. */
  private static String bitwise(Form form) {
    boolean flushes = form.take("ftz");
    Type type = form.needType();
    Type bits = type == Type.F32 ? Type.B32 : Type.B64;
    String value = form.read(1, bits);
    if (flushes) {
      value = "bits(ftz(f(" + value + ")))";
    }
    String result =
        switch (form.opcode()) {
          case "abs" -> call("abs_bits", value);
          case "neg" -> call("neg_bits", value);
          default -> call("copysign_bits", value, form.read(2, bits));
        };
    return form.write(0, bits, result);
  }

  private static String arithmetic(Form form, int count) {
    boolean approximate = form.take("approx");
    boolean full = form.take("full");
    Optional<String> rounding = form.takeOne("rn", "rz", "rm", "rp");
    boolean flushes = form.take("ftz");
    boolean saturates = form.take("sat");
    boolean propagatesNan = form.take("NaN");
    boolean signs = form.take("xorsign") && form.take("abs");
    Type type = form.needType();
    if ((approximate || full || flushes) && type == Type.F64 && !form.opcode().equals("rsqrt")) {
      throw new Untranslatable("an approximation in f64");
    }
    String[] operands = new String[count];
    for (int i = 0; i < count; i++) {
      String value = form.read(i + 1, type);
      operands[i] = flushes ? call("ftz", value) : value;
    }
    String function = form.opcode();
    String expression;
    if (function.equals("min") || function.equals("max")) {
      expression =
          call(function + (propagatesNan ? "_nan" : "") + (signs ? "_xorsign" : ""), operands);
    } else if (approximate || full) {
      expression = call(function + (full ? "_full" : "_approx"), operands);
    } else {
      expression = exact(function, rounding.orElse("rn"), operands);
    }
    if (flushes) {
      expression = call("ftz", expression);
    }
    return form.write(0, type, saturates ? call("saturate", expression) : expression);
  }

  /** Correctly rounded operations; to nearest is what C++ does by itself. */
  private static String exact(String function, String rounding, String... operands) {
    if (!rounding.equals("rn")) {
      String name = function.equals("mad") ? "fma" : function;
      return call(name + "_directed<Rounding::" + rounding + ">", operands);
    }
    return switch (function) {
      case "add" -> operands[0] + " + " + operands[1];
      case "sub" -> operands[0] + " - " + operands[1];
      case "mul" -> operands[0] + " * " + operands[1];
      case "div" -> call("div_rn", operands);
      case "fma", "mad" -> call("std::fma", operands);
      case "rcp" -> call("rcp_rn", operands);
      case "sqrt" -> call("std::sqrt", operands);
      default -> throw new Untranslatable("only approx is known");
    };
  }
}
