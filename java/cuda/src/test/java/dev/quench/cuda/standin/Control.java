package dev.quench.cuda.standin;

import java.util.List;
import java.util.Set;

/** Jumps, calls, and the ways to end. */
final class Control implements Family {
  private static final Set<String> OPCODES =
      Set.of("bra", "brx", "ret", "exit", "call", "trap", "brkpt", "nanosleep", "pmevent");

  private final boolean kernel;
  private final Set<String> functions;

  /**
   * @param kernel true inside a kernel, where {@code exit} is a return
   * @param functions the device functions that have a body
   */
  Control(boolean kernel, Set<String> functions) {
    this.kernel = kernel;
    this.functions = functions;
  }

  @Override
  public boolean covers(Form form) {
    return OPCODES.contains(form.opcode());
  }

  @Override
  public String translate(Form form) {
    return switch (form.opcode()) {
      case "bra" -> branch(form);
      case "brx" -> indexedBranch(form);
      case "ret" -> {
        form.ignore("uni");
        yield "return;";
      }
      case "exit" -> {
        if (!kernel) {
          throw new Untranslatable("exit in a device function");
        }
        yield "return;";
      }
      case "call" -> call(form);
      case "nanosleep" -> {
        form.needType();
        yield "yield();";
      }
      case "pmevent" -> ";";
      default -> "fail(\"" + form.opcode() + "\");";
    };
  }

  private static String label(Form form, Ptx.Operand operand) {
    if (operand instanceof Ptx.Name(String name)
        && form.names().place(name) instanceof Place.Label(String cpp)) {
      return cpp;
    }
    throw new Untranslatable("no label: " + operand);
  }

  private static String branch(Form form) {
    form.ignore("uni");
    return "goto " + label(form, form.operand(0)) + ";";
  }

  private static String indexedBranch(Form form) {
    form.need("idx");
    form.ignore("uni");
    if (!(form.operand(1) instanceof Ptx.Name(String name))
        || !(form.names().place(name) instanceof Place.Targets(List<String> labels))) {
      throw new Untranslatable("no branch targets");
    }
    StringBuilder text = new StringBuilder("switch (" + form.read(0, Type.U32) + ") { ");
    for (int i = 0; i < labels.size(); i++) {
      text.append("case " + i + ": goto " + label(form, new Ptx.Name(labels.get(i))) + "; ");
    }
    return text.append("default: fail(\"brx.idx outside its targets\"); }").toString();
  }

  /** {@code call (results), function, (arguments)}: both are variables in param space. */
  private String call(Form form) {
    form.ignore("uni");
    int at = form.operand(0) instanceof Ptx.Group ? 1 : 0;
    if (!(form.operand(at) instanceof Ptx.Name(String function))) {
      throw new Untranslatable("a call through a register");
    }
    form.needSize(at + 1, at + 2);
    String results = at == 0 ? "" : parameters(form, form.operand(0));
    String arguments = form.size() > at + 1 ? parameters(form, form.operand(at + 1)) : "";
    if (function.equals("__assertfail")) {
      return "{ void* arguments[] = {" + arguments + "}; assert_fail(arguments); }";
    }
    if (!functions.contains(function)) {
      throw new Untranslatable("a call of '" + function + "', which has no body");
    }
    return "{ void* results[] = {"
        + (results.isEmpty() ? "nullptr" : results)
        + "}; void* arguments[] = {"
        + (arguments.isEmpty() ? "nullptr" : arguments)
        + "}; "
        + FunctionEmitter.cppName(function)
        + "(results, arguments, shared); }";
  }

  private static String parameters(Form form, Ptx.Operand operand) {
    if (!(operand instanceof Ptx.Group(List<Ptx.Operand> elements))) {
      throw new Untranslatable("operands of a call: " + operand);
    }
    return String.join(
        ", ",
        elements.stream().map(e -> "pointer(" + form.names().read(e, Type.U64) + ")").toList());
  }
}
