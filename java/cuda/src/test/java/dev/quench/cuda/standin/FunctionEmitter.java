package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Writes one function as C++: registers and variables at its top, then one C++ statement an
 * instruction, jumps as {@code goto}. Names of inner scopes get a suffix, so that C++ needs no
 * scopes and no jump crosses a declaration.
 */
final class FunctionEmitter {
  private final Ptx.Function function;
  private final Map<Integer, String> files;
  private final BarrierList barriers;
  private final List<Family> families;
  private final List<String> untranslated = new ArrayList<>();
  private final StringBuilder declarations = new StringBuilder();
  private final StringBuilder code = new StringBuilder();
  private final boolean endsWarpgroups;
  private String line = "";
  private int scopes;

  FunctionEmitter(
      Ptx.Function function,
      List<Ptx.Statement> body,
      Map<Integer, String> files,
      BarrierList barriers,
      Set<String> functions) {
    this.function = function;
    this.files = files;
    this.barriers = barriers;
    endsWarpgroups =
        function.kernel()
            && Mentions.instructions(body).stream().anyMatch(i -> i.opcode().equals("wgmma"));
    families =
        List.of(
            new DataMovement(),
            new MemoryAccess(),
            new IntegerArithmetic(),
            new FloatArithmetic(),
            new BitOperations(),
            new Comparison(),
            new Conversion(),
            new HalfArithmetic(),
            new Control(function.kernel(), functions),
            new Barriers(),
            new WarpOperations(),
            new Atomics(),
            new WarpMatrix(),
            new AsyncCopy(),
            new MemoryBarriers(),
            new WarpgroupMatrix());
  }

  /** A name of PTX as part of a C++ name. */
  private static String identifier(String name) {
    return name.replaceAll("[^A-Za-z0-9_]", "_");
  }

  /** The C++ name of a device function. */
  static String cppName(String function) {
    return "function_" + identifier(function);
  }

  List<String> untranslated() {
    return untranslated;
  }

  /**
   * The C++ text of the function's body.
   *
   * @param outer the module's names, and the shared variables of this kernel
   */
  String emit(List<Ptx.Statement> body, Scope outer) {
    Scope scope = new Scope(outer);
    declareParameters(scope);
    statements(body, scope);
    return "bool carry = false, ignored_carry;\n"
        + "(void)carry; (void)ignored_carry; (void)shared; (void)parameters;\n"
        + declarations
        + code
        + (endsWarpgroups ? "wgmma_end();\n" : "");
  }

  private void declareParameters(Scope scope) {
    for (int i = 0; i < function.parameters().size(); i++) {
      Ptx.Variable parameter = function.parameters().get(i);
      scope.declare(
          parameter.line(),
          parameter.name(),
          new Place.Memory(Ptx.Space.PARAM, "u64(parameters[" + i + "])"));
    }
    for (int i = 0; i < function.results().size(); i++) {
      Ptx.Variable result = function.results().get(i);
      scope.declare(
          result.line(),
          result.name(),
          new Place.Memory(Ptx.Space.PARAM, "u64(results[" + i + "])"));
    }
  }

  private void statements(List<Ptx.Statement> body, Scope scope) {
    String suffix = scopes == 0 ? "" : "_s" + scopes;
    scopes++;
    declareLabels(body, scope, suffix);
    for (Ptx.Statement statement : body) {
      switch (statement) {
        case Ptx.Block(List<Ptx.Statement> inner) -> statements(inner, new Scope(scope));
        case Ptx.Label label -> code.append("L_" + identifier(label.name()) + suffix + ": ;\n");
        case Ptx.BranchTargets targets -> {}
        case Ptx.Registers registers -> declareRegisters(registers, scope, suffix);
        case Ptx.Declaration(Ptx.Variable variable) -> declareVariable(variable, scope, suffix);
        case Ptx.Location(int file, int number) -> locate(file, number);
        case Ptx.Instruction instruction -> instruction(instruction, scope);
      }
    }
  }

  private static void declareLabels(List<Ptx.Statement> body, Scope scope, String suffix) {
    for (Ptx.Statement statement : body) {
      switch (statement) {
        case Ptx.Label label ->
            scope.declare(
                label.line(),
                label.name(),
                new Place.Label("L_" + identifier(label.name()) + suffix));
        case Ptx.BranchTargets targets ->
            scope.declare(0, targets.name(), new Place.Targets(targets.labels()));
        default -> {}
      }
    }
  }

  /** Registers start as all ones, a NaN, so that a read before a write shows. */
  private void declareRegisters(Ptx.Registers registers, Scope scope, String suffix) {
    Type type = registers.type();
    List<String> names = new ArrayList<>();
    for (String name : registers.names()) {
      String cpp = "v_" + identifier(name.replaceFirst("^%", "")) + suffix;
      scope.declare(registers.line(), name, new Place.Register(type, cpp));
      names.add(cpp + (type == Type.PRED ? " = false" : " = " + type.bitsCpp() + "(-1)"));
    }
    if (!names.isEmpty()) {
      declarations.append(type.bitsCpp() + " " + String.join(", ", names) + ";\n");
    }
  }

  private void declareVariable(Ptx.Variable variable, Scope scope, String suffix) {
    if (variable.space() == Ptx.Space.SHARED) {
      return; // its place is in the kernel's layout
    }
    if (variable.space() == Ptx.Space.CONST || variable.space() == Ptx.Space.GLOBAL) {
      throw new PtxException(variable.line(), "a variable of the module inside a function");
    }
    String cpp = "m_" + identifier(variable.name()) + suffix;
    declarations.append(
        "alignas(" + variable.alignment() + ") u8 " + cpp + "[" + variable.bytes() + "];\n");
    scope.declare(
        variable.line(), variable.name(), new Place.Memory(variable.space(), "u64(" + cpp + ")"));
  }

  private void locate(int file, int number) {
    String path = files.get(file);
    if (path != null && number > 0) {
      line = "#line " + number + " \"" + path + "\"\n";
    }
  }

  private void instruction(Ptx.Instruction instruction, Scope scope) {
    Operands operands = new Operands(scope);
    String text;
    try {
      text = translate(new Form(instruction, operands));
      text = barriers.next(function.name(), instruction, operands, line, text);
    } catch (Untranslatable e) {
      untranslated.add(
          function.name()
              + ", PTX line "
              + instruction.line()
              + ": "
              + instruction.form()
              + ": "
              + e.getMessage());
      text = "fail(\"unsupported PTX: " + instruction.form() + "\");";
    }
    code.append(line);
    if (instruction.guard().isPresent()) {
      Ptx.Guard guard = instruction.guard().get();
      String predicate = operands.read(new Ptx.Name(guard.predicate()), Type.PRED);
      code.append("if (" + (guard.negated() ? "!" : "") + predicate + ") { " + text + " }\n");
    } else {
      code.append(text + "\n");
    }
  }

  private String translate(Form form) {
    Family family =
        families.stream()
            .filter(f -> f.covers(form))
            .findFirst()
            .orElseThrow(() -> new Untranslatable("unknown opcode"));
    String text = family.translate(form);
    form.finish();
    return endsWarpgroups && text.equals("return;") ? "wgmma_end(); return;" : text;
  }

  /** {@code #line 12 "a.cu"} as {@code a.cu:12}. */
  static String shortLine(String line) {
    String[] parts = line.strip().split(" ", 3);
    return parts.length < 3
        ? "unknown line"
        : parts[2].replaceAll(".*/|\"", "") + ":" + parts[1].toLowerCase(Locale.ROOT);
  }

  /** Parameters of the C++ function, for its declaration. */
  String signature() {
    return function.kernel()
        ? "extern \"C\" void " + function.name() + "(void** parameters)"
        : "static void "
            + cppName(function.name())
            + "(void** results, void** parameters, const SharedMemory& shared)";
  }

  /** Sizes of the parameters, for the launch to check. */
  String parameterBytes() {
    return function.parameters().stream()
        .map(p -> String.valueOf(p.bytes()))
        .collect(Collectors.joining(", "));
  }
}
