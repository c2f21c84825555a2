package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Counts the barriers and waits of a module, and takes out the one that a mutation names. */
final class BarrierList {
  private static final Set<String> WAITS =
      Set.of("wait_group", "wait_all", "try_wait", "test_wait");

  private final Mutation mutation;
  private final List<String> found = new ArrayList<>();

  BarrierList(Mutation mutation) {
    this.mutation = mutation;
  }

  List<String> found() {
    return found;
  }

  /** The text that replaces an instruction, if it is the barrier to remove. */
  Optional<String> next(
      String function, Ptx.Instruction instruction, Operands operands, String line) {
    if (!isBarrier(instruction)) {
      return Optional.empty();
    }
    int index = found.size();
    found.add(function + ", " + FunctionEmitter.shortLine(line) + ": " + instruction.form());
    if (mutation.removedBarrier().orElse(-1) != index) {
      return Optional.empty();
    }
    return Optional.of(
        instruction.opcode().equals("mbarrier")
            ? operands.write(instruction.operands().getFirst(), Type.PRED, "true")
            : ";");
  }

  private static boolean isBarrier(Ptx.Instruction instruction) {
    List<String> modifiers = instruction.modifiers();
    return switch (instruction.opcode()) {
      case "bar", "barrier" -> modifiers.contains("sync");
      case "cp", "mbarrier", "wgmma" -> modifiers.stream().anyMatch(WAITS::contains);
      default -> false;
    };
  }
}
