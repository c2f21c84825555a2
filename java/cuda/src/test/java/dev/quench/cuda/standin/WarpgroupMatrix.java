package dev.quench.cuda.standin;

import java.util.Optional;
import java.util.Set;

/** {@code wgmma}: matrix products of four warps with operands in shared memory. */
final class WarpgroupMatrix implements Family {
  private static final Set<String> OPCODES = Set.of("wgmma", "setmaxnreg", "griddepcontrol");

  @Override
  public boolean covers(Form form) {
    return OPCODES.contains(form.opcode());
  }

  @Override
  public String translate(Form form) {
    form.ignore("sync", "aligned");
    if (!form.opcode().equals("wgmma")) {
      form.ignore("inc", "dec", "u32", "launch_dependents", "wait");
      return ";";
    }
    return switch (form.need("fence", "commit_group", "wait_group", "mma_async")) {
      case "fence" -> "wgmma_fence();";
      case "commit_group" -> "wgmma_commit_group();";
      case "wait_group" -> "wgmma_wait_group(" + form.constant(0) + ");";
      default -> multiply(form);
    };
  }

  private static String multiply(Form form) {
    String shape = form.takePrefixed("m64n").orElseThrow(() -> new Untranslatable("shape"));
    int columns = Integer.parseInt(shape.substring(0, shape.indexOf('k')));
    int depth = Integer.parseInt(shape.substring(shape.indexOf('k') + 1));
    boolean saturates = form.take("satfinite");
    Type result = form.needType();
    Type a = form.needType();
    Type b = form.needType();
    if (depth * a.bits() != 256 || columns % 8 != 0 || columns > 256) {
      throw new Untranslatable("shape m64n" + shape);
    }
    int registers = result == Type.F16 ? columns / 4 : columns / 2;
    if (form.elements(0).size() != registers) {
      throw new Untranslatable(form.elements(0).size() + " accumulators");
    }
    boolean aInRegisters = form.operand(1) instanceof Ptx.Vector;
    boolean halves = a.bits() == 16;
    int scales = a.isInteger() ? 0 : 2;
    int transpositions = halves ? (aInRegisters ? 1 : 2) : 0;
    form.needSize(4 + scales + transpositions, 4 + scales + transpositions);
    String scaleA = scales == 0 ? "1" : String.valueOf(form.constant(4));
    String scaleB = scales == 0 ? "1" : String.valueOf(form.constant(5));
    boolean aTransposed = transpositions == 2 && form.constant(6) != 0;
    boolean bTransposed = transpositions > 0 && form.constant(5 + transpositions) != 0;
    Optional<String> fragment =
        aInRegisters
            ? Optional.of("const u32 a[] = {" + form.readAll(1, Type.B32) + "}; ")
            : Optional.empty();
    if (aInRegisters && form.elements(1).size() != 4) {
      throw new Untranslatable(form.elements(1).size() + " registers of A");
    }
    return "{ u32 d[] = {"
        + form.readAll(0, Type.B32)
        + "}; "
        + fragment.orElse("")
        + "wgmma<"
        + columns
        + ", "
        + WarpMatrix.accumulator(result)
        + ", "
        + WarpMatrix.element(a)
        + ", "
        + WarpMatrix.element(b)
        + ">(d, "
        + (aInRegisters ? "FragmentA{a}" : matrix(form, 1, aTransposed))
        + ", "
        + matrix(form, 2, bTransposed)
        + ", "
        + form.read(3, Type.PRED)
        + ", WgmmaScales{"
        + scaleA
        + ", "
        + scaleB
        + ", "
        + saturates
        + "}); "
        + form.writeAll(0, Type.B32, "d")
        + "}";
  }

  private static String matrix(Form form, int operand, boolean transposed) {
    return "MatrixDescriptor(" + form.read(operand, Type.B64) + ", " + transposed + ", shared)";
  }
}
