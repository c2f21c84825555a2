package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Translates PTX, as nvcc writes it, to C++ for the stand-in's runtime. Every register becomes a
 * C++ variable of raw bits and every instruction a statement; what instructions mean is in {@code
 * native/standin/ptx.h}. {@code .loc} becomes {@code #line}, so that compilers, debuggers and
 * sanitizers name lines of the .cu file.
 */
final class Translator {
  private final Ptx.Module module;
  private final Scope names = new Scope(null);
  private final BarrierList barriers;
  private final Set<String> deviceFunctions;
  private final List<String> untranslated = new ArrayList<>();
  private final StringBuilder out = new StringBuilder();

  private Translator(Ptx.Module module, boolean removable) {
    this.module = module;
    barriers = new BarrierList(removable);
    deviceFunctions =
        module.functions().stream()
            .filter(f -> !f.kernel() && f.body().isPresent())
            .map(Ptx.Function::name)
            .collect(Collectors.toSet());
  }

  /**
   * Translates a module.
   *
   * @param name under which a run names its barriers
   * @throws PtxException if the text can't be parsed
   */
  static Translation translate(String name, String ptx, BuildOptions options) {
    return new Translator(Parser.parse(ptx), options.removable()).translate(name, options);
  }

  /** Translates a module as it is. */
  static Translation translate(String ptx) {
    return translate("", ptx, BuildOptions.plain());
  }

  private Translation translate(String name, BuildOptions options) {
    out.append("// Translated from PTX ").append(module.version());
    out.append(" for ").append(module.target()).append('\n');
    if (options.profile()) {
      out.append("#define STANDIN_PROFILE 1\n");
    }
    out.append("#include \"ptx.h\"\nusing namespace standin;\nusing namespace standin::ptx;\n");
    if (options.removable()) {
      out.append("static const RemovedBarriers removed(\"" + name + "\");\n");
    }
    module.variables().forEach(this::variable);
    for (Ptx.Function function : module.functions()) {
      if (deviceFunctions.contains(function.name())) {
        out.append(
            "static void "
                + FunctionEmitter.cppName(function.name())
                + "(void**, void**, const SharedMemory&);\n");
      }
    }
    for (Ptx.Function function : module.functions()) {
      function.body().ifPresent(body -> function(function, body));
    }
    return new Translation(out.toString(), untranslated, barriers.found());
  }

  /** A variable of the module outside shared memory: an array of bytes with initial values. */
  private void variable(Ptx.Variable variable) {
    if (variable.space() == Ptx.Space.SHARED) {
      return;
    }
    String cpp = "g_" + variable.name().replaceAll("[^A-Za-z0-9_]", "_");
    String values =
        variable.initial().stream()
            .map(v -> variable.type().bitsCpp() + "(" + Long.toUnsignedString(v) + "ull)")
            .collect(Collectors.joining(", "));
    long elements = variable.elements().orElse(variable.initial().size());
    out.append(
        "alignas(%d) static %s %s[%d] = {%s};\n"
            .formatted(
                variable.alignment(),
                variable.type().bitsCpp(),
                cpp,
                Math.max(1, elements),
                values));
    names.declare(
        variable.line(), variable.name(), new Place.Memory(variable.space(), "u64(" + cpp + ")"));
  }

  private void function(Ptx.Function function, List<Ptx.Statement> body) {
    FunctionEmitter emitter =
        new FunctionEmitter(function, body, module.files(), barriers, deviceFunctions);
    SharedLayout layout = layout(body);
    Scope scope = new Scope(names);
    if (function.kernel()) {
      layout
          .offsets()
          .forEach(
              (name, offset) ->
                  scope.declare(function.line(), name, new Place.Shared(offset + "u")));
    }
    String text = emitter.emit(body, scope);
    out.append("\n#line 1 \"" + function.name() + "\"\n");
    out.append(emitter.signature()).append(" {\n");
    if (function.kernel()) {
      out.append("const SharedMemory shared;\n");
    }
    out.append(text).append("}\n");
    if (function.kernel()) {
      register(function, emitter, layout);
    }
    untranslated.addAll(emitter.untranslated());
  }

  private SharedLayout layout(List<Ptx.Statement> body) {
    List<Ptx.Variable> variables = new ArrayList<>();
    module.variables().stream().filter(v -> v.space() == Ptx.Space.SHARED).forEach(variables::add);
    variables.addAll(Mentions.variables(body, Ptx.Space.SHARED));
    return new SharedLayout(variables, Mentions.names(body));
  }

  private void register(Ptx.Function function, FunctionEmitter emitter, SharedLayout layout) {
    String name = function.name();
    int count = function.parameters().size();
    out.append(
        """
        #line 1 "registration of %1$s"
        static const unsigned bytes_%1$s[] = {%2$s};
        static const Kernel kernel_%1$s = {"%1$s", %1$s, %3$d, bytes_%1$s, %4$d};
        static const bool registered_%1$s = registerKernel(&kernel_%1$s);
        """
            .formatted(name, count == 0 ? "0" : emitter.parameterBytes(), count, layout.bytes()));
  }
}
