package dev.quench.cuda.standin;

import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Matrix instructions of a warp: {@code ldmatrix}, {@code stmatrix}, {@code mma}. */
final class WarpMatrix implements Family {
  private static final Set<String> OPCODES = Set.of("ldmatrix", "stmatrix", "mma");
  private static final Pattern SHAPE = Pattern.compile("m16n8k(\\d+)");

  @Override
  public boolean covers(Form form) {
    return OPCODES.contains(form.opcode());
  }

  @Override
  public String translate(Form form) {
    form.need("sync");
    form.need("aligned");
    return form.opcode().equals("mma") ? multiply(form) : transfer(form);
  }

  private static String transfer(Form form) {
    form.need("m8n8");
    int count = Integer.parseInt(form.need("x1", "x2", "x4").substring(1));
    boolean transposes = form.take("trans");
    if (!MemoryAccess.takeShared(form)) {
      throw new Untranslatable("matrices outside shared memory");
    }
    form.need("b16");
    boolean loads = form.opcode().equals("ldmatrix");
    int registers = loads ? 0 : 1;
    if (form.elements(registers).size() != count) {
      throw new Untranslatable(form.elements(registers).size() + " registers");
    }
    String call = form.opcode() + "<" + count + ", " + transposes + ">(part, shared, offset);";
    String rows =
        "const u32 offset = "
            + form.sharedOffset(1 - registers)
            + "; PROFILE_ROWS("
            + !loads
            + ", "
            + count
            + ") ";
    return loads
        ? "{ "
            + rows
            + "u32 part["
            + count
            + "]; "
            + call
            + " "
            + form.writeAll(0, Type.B32, "part")
            + "}"
        : "{ " + rows + "const u32 part[] = {" + form.readAll(1, Type.B32) + "}; " + call + " }";
  }

  /** {@code mma.sync.aligned.m16n8kK.row.col.D.A.B.C d, a, b, c}. */
  private static String multiply(Form form) {
    Matcher shape = SHAPE.matcher(form.takePrefixed("m16n8").map(k -> "m16n8" + k).orElse(""));
    if (!shape.matches()) {
      throw new Untranslatable("shape");
    }
    int depth = Integer.parseInt(shape.group(1));
    form.need("row");
    form.need("col");
    boolean saturates = form.take("satfinite");
    Type result = form.needType();
    Type a = form.needType();
    Type b = form.needType();
    if (form.needType() != result) {
      throw new Untranslatable("an accumulator of another type");
    }
    form.needSize(4, 4);
    int accumulators = result == Type.F16 ? 2 : 4;
    int aCount = 16 * depth * a.bits() / 32 / 32;
    int bCount = 8 * depth * b.bits() / 32 / 32;
    if (form.elements(0).size() != accumulators
        || form.elements(1).size() != aCount
        || form.elements(2).size() != bCount
        || form.elements(3).size() != accumulators) {
      throw new Untranslatable("number of registers");
    }
    return "{ const u32 a[] = {"
        + form.readAll(1, Type.B32)
        + "}, b[] = {"
        + form.readAll(2, Type.B32)
        + "}; u32 c[] = {"
        + form.readAll(3, Type.B32)
        + "}; mma<"
        + depth
        + ", "
        + accumulator(result)
        + ", "
        + element(a)
        + ", "
        + element(b)
        + ">(c, a, b, "
        + saturates
        + "); "
        + form.writeAll(0, Type.B32, "c")
        + "}";
  }

  /** The C++ class of an accumulator. */
  static String accumulator(Type type) {
    return switch (type) {
      case F32 -> "AccumulatorF32";
      case F16 -> "AccumulatorF16";
      case S32 -> "AccumulatorS32";
      default -> throw new Untranslatable("an accumulator of type " + type.ptx());
    };
  }

  /** The C++ class of an element of A or B. */
  static String element(Type type) {
    return switch (type) {
      case F16, BF16, E4M3, E5M2 -> HalfArithmetic.format(type);
      case TF32 -> "Tf32";
      case S8 -> "S8";
      case U8 -> "U8";
      default -> throw new Untranslatable("elements of type " + type.ptx());
    };
  }
}
