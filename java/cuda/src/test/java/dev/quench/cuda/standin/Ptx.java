package dev.quench.cuda.standin;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** The syntax tree of a PTX module, as the parser makes it. */
final class Ptx {
  private Ptx() {}

  /**
   * A module.
   *
   * @param files source files by the number that {@code .loc} uses
   */
  record Module(
      String version,
      String target,
      Map<Integer, String> files,
      List<Variable> variables,
      List<Function> functions) {}

  /** Where a variable lives. */
  enum Space {
    SHARED,
    LOCAL,
    PARAM,
    CONST,
    GLOBAL
  }

  /**
   * A variable in memory.
   *
   * @param elements how many elements of the type; empty for an array of unknown size, which is the
   *     shared memory that a launch adds
   * @param initial initial values, element by element; shorter than the array means zeros
   */
  record Variable(
      int line,
      Space space,
      long alignment,
      Type type,
      String name,
      OptionalLong elements,
      List<Long> initial) {

    long bytes() {
      return Math.multiplyExact(elements.orElse(0), type.bytes());
    }
  }

  /**
   * A kernel or a device function.
   *
   * @param results what a device function returns; kernels return nothing
   * @param body empty for a function that is declared only
   */
  record Function(
      int line,
      boolean kernel,
      String name,
      List<Variable> results,
      List<Variable> parameters,
      Optional<List<Statement>> body) {}

  sealed interface Statement {}

  /** A scope of its own for the names that it declares. */
  record Block(List<Statement> statements) implements Statement {}

  record Label(int line, String name) implements Statement {}

  /** The labels that {@code brx.idx} jumps to, under the label in front of it. */
  record BranchTargets(String name, List<String> labels) implements Statement {}

  record Registers(int line, Type type, List<String> names) implements Statement {}

  record Declaration(Variable variable) implements Statement {}

  /** From here on, statements come from this line of a source file. */
  record Location(int file, int line) implements Statement {}

  /**
   * An instruction.
   *
   * @param opcode the word up to the first dot
   * @param modifiers the words after it
   */
  record Instruction(
      int line,
      Optional<Guard> guard,
      String opcode,
      List<String> modifiers,
      List<Operand> operands)
      implements Statement {

    /** The opcode with its modifiers, as in the text. */
    String form() {
      return modifiers.isEmpty() ? opcode : opcode + "." + String.join(".", modifiers);
    }
  }

  /** {@code @%p} or {@code @!%p} in front of an instruction. */
  record Guard(String predicate, boolean negated) {}

  sealed interface Operand {}

  /** A register, a special register, a variable, a label, or {@code _}. */
  record Name(String text) implements Operand {}

  /** The address of a variable, with an offset in bytes. */
  record Offset(String variable, long bytes) implements Operand {}

  record Whole(long value) implements Operand {}

  /** {@code 0f…} or {@code 0d…}: the bits of a float or double. */
  record Real(Type type, long bits) implements Operand {}

  /** {@code [base + offset]} with {@code base} a name or a number. */
  record Address(Operand base, long offset) implements Operand {}

  /** {@code [base, {coordinates}]}. */
  record TensorAddress(Operand base, List<Operand> coordinates) implements Operand {}

  record Vector(List<Operand> elements) implements Operand {}

  /** Operands in parentheses: what a call passes and gets. */
  record Group(List<Operand> elements) implements Operand {}

  /** {@code first|second}, two results. */
  record Pair(Operand first, Operand second) implements Operand {}

  /** {@code !operand} or {@code -operand} of a register. */
  record Not(Operand operand) implements Operand {}
}
