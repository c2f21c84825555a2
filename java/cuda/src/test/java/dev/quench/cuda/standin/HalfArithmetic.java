package dev.quench.cuda.standin;

import static dev.quench.cuda.standin.IntegerArithmetic.call;

import java.util.Map;

/** Arithmetic on f16 and bf16, single or in pairs. */
final class HalfArithmetic implements Family {
  private static final Map<String, Integer> OPERANDS =
      Map.ofEntries(
          Map.entry("add", 2),
          Map.entry("sub", 2),
          Map.entry("mul", 2),
          Map.entry("fma", 3),
          Map.entry("min", 2),
          Map.entry("max", 2),
          Map.entry("abs", 1),
          Map.entry("neg", 1),
          Map.entry("ex2", 1),
          Map.entry("tanh", 1));

  @Override
  public boolean covers(Form form) {
    return OPERANDS.containsKey(form.opcode())
        && form.lastType().filter(HalfArithmetic::isHalf).isPresent();
  }

  static boolean isHalf(Type type) {
    return switch (type) {
      case F16, BF16, F16X2, BF16X2 -> true;
      default -> false;
    };
  }

  /** The C++ class that describes the format of one element. */
  static String format(Type type) {
    return switch (type) {
      case F16, F16X2 -> "F16";
      case BF16, BF16X2 -> "Bf16";
      case E4M3, E4M3X2 -> "E4m3";
      case E5M2, E5M2X2 -> "E5m2";
      default -> throw new Untranslatable("type " + type.ptx());
    };
  }

  static boolean isPair(Type type) {
    return type == Type.F16X2 || type == Type.BF16X2;
  }

  @Override
  public String translate(Form form) {
    int count = OPERANDS.getOrDefault(form.opcode(), 0);
    form.needSize(count + 1, count + 1);
    form.ignore("rn", "approx");
    String function = "half_" + form.opcode();
    if (form.take("NaN")) {
      function += "_nan";
    }
    if (form.take("xorsign") && form.take("abs")) {
      function += "_xorsign";
    }
    boolean flushes = form.take("ftz");
    boolean saturates = form.take("sat");
    boolean rectifies = form.take("relu");
    Type type = form.needType();
    String template = function + "<" + format(type) + (flushes ? ", kFlush" : "") + ">";
    String[] operands = new String[count];
    for (int i = 0; i < count; i++) {
      operands[i] = form.read(i + 1, type);
    }
    String expression = isPair(type) ? pair(template, operands) : call(template, operands);
    String format = format(type);
    if (saturates) {
      expression = after("half_saturate<" + format + ">", type, expression);
    }
    if (rectifies) {
      expression = after("half_relu<" + format + ">", type, expression);
    }
    return form.write(0, type, expression);
  }

  private static String pair(String function, String... operands) {
    return "pairwise([](auto... x) { return "
        + function
        + "(x...); }, "
        + String.join(", ", operands)
        + ")";
  }

  private static String after(String function, Type type, String expression) {
    return isPair(type) ? pair(function, expression) : call(function, expression);
  }
}
