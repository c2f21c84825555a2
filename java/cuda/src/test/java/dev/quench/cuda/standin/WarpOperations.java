package dev.quench.cuda.standin;

import java.util.Set;

/** Exchanges among the lanes of a warp. */
final class WarpOperations implements Family {
  private static final Set<String> OPCODES =
      Set.of("shfl", "vote", "match", "activemask", "redux", "elect");

  @Override
  public boolean covers(Form form) {
    return OPCODES.contains(form.opcode());
  }

  @Override
  public String translate(Form form) {
    return switch (form.opcode()) {
      case "shfl" -> shuffle(form);
      case "vote" -> vote(form);
      case "match" -> match(form);
      case "redux" -> reduce(form);
      case "elect" -> elect(form);
      default -> {
        form.need("b32");
        yield form.write(0, Type.B32, "activeMask()");
      }
    };
  }

  private static String shuffle(Form form) {
    form.need("sync");
    String mode = form.need("up", "down", "bfly", "idx");
    form.need("b32");
    form.needSize(5, 5);
    String call =
        "shuffle<Shuffle::"
            + mode
            + ">("
            + form.read(1, Type.B32)
            + ", "
            + form.read(2, Type.B32)
            + ", "
            + form.read(3, Type.B32)
            + ", "
            + form.read(4, Type.B32);
    return withPredicate(form, Type.B32, call);
  }

  /** The result of a function whose last argument gets a second, true-or-false result. */
  private static String withPredicate(Form form, Type type, String call) {
    if (form.operand(0) instanceof Ptx.Pair(Ptx.Operand value, Ptx.Operand predicate)) {
      return "{ bool second; "
          + form.names().write(value, type, call + ", &second)")
          + " "
          + form.names().write(predicate, Type.PRED, "second")
          + " }";
    }
    return "{ bool second; " + form.write(0, type, call + ", &second)") + " }";
  }

  private static String vote(Form form) {
    form.need("sync");
    String kind = form.need("ballot", "any", "all", "uni");
    Type type = form.needType();
    return form.write(
        0,
        type,
        "vote_" + kind + "(" + form.read(1, Type.PRED) + ", " + form.read(2, Type.B32) + ")");
  }

  private static String match(Form form) {
    String kind = form.need("any", "all");
    form.need("sync");
    Type type = form.needType();
    String call =
        "match_"
            + kind
            + "<"
            + type.cpp()
            + ">("
            + form.read(1, type)
            + ", "
            + form.read(2, Type.B32);
    return kind.equals("any")
        ? form.write(0, Type.B32, call + ")")
        : withPredicate(form, Type.B32, call);
  }

  private static String reduce(Form form) {
    form.need("sync");
    String operation = form.need("add", "min", "max", "and", "or", "xor");
    Type type = form.needType();
    if (!type.isInteger()) {
      throw new Untranslatable("redux of " + type.ptx());
    }
    return form.write(
        0,
        type,
        "redux_"
            + operation
            + "<"
            + type.cpp()
            + ">("
            + form.read(1, type)
            + ", "
            + form.read(2, Type.B32)
            + ")");
  }

  /** Elects the lowest lane of the mask; which one is up to the hardware. */
  private static String elect(Form form) {
    form.need("sync");
    if (!(form.operand(0) instanceof Ptx.Pair(Ptx.Operand lane, Ptx.Operand elected))) {
      throw new Untranslatable("elect without a predicate");
    }
    return "{ const u32 mask = "
        + form.read(1, Type.B32)
        + "; warp_sync(mask); "
        + form.names().write(lane, Type.B32, "lowest_lane(mask)")
        + " "
        + form.names().write(elected, Type.PRED, "lowest_lane(mask) == cur->lane")
        + " }";
  }
}
