package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Counts the barriers, waits and fences of a module. In a removable one each asks the runtime
 * whether it is there: {@code STANDIN_REMOVE=pack.ptx:3} leaves out the fourth, so that a run shows
 * whether tests notice.
 */
final class BarrierList {
  private static final Set<String> WAITS =
      Set.of("wait_group", "wait_all", "try_wait", "test_wait");

  private final boolean removable;
  private final List<String> found = new ArrayList<>();

  BarrierList(boolean removable) {
    this.removable = removable;
  }

  List<String> found() {
    return found;
  }

  /** The text of an instruction, which asks whether it is left out if it is a barrier. */
  String next(
      String function, Ptx.Instruction instruction, Operands operands, String line, String text) {
    if (!isBarrier(instruction)) {
      return text;
    }
    int index = found.size();
    found.add(function + ", " + FunctionEmitter.shortLine(line) + ": " + instruction.form());
    if (!removable) {
      return text;
    }
    // A test of a phase that is left out says that the phase is over.
    String otherwise =
        instruction.opcode().equals("mbarrier")
            ? operands.write(instruction.operands().getFirst(), Type.PRED, "true")
            : "";
    return "if (removed[" + index + "]) { " + otherwise + " } else { " + text + " }";
  }

  private static boolean isBarrier(Ptx.Instruction instruction) {
    List<String> modifiers = instruction.modifiers();
    return switch (instruction.opcode()) {
      case "bar", "barrier" -> modifiers.contains("sync");
      case "cp", "mbarrier" -> modifiers.stream().anyMatch(WAITS::contains);
      case "wgmma" -> modifiers.contains("fence") || modifiers.contains("wait_group");
      case "fence", "membar" -> true;
      default -> false;
    };
  }
}
