package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** What the body of a function mentions. */
final class Mentions {
  private Mentions() {}

  /** All instructions, those of inner scopes too. */
  static List<Ptx.Instruction> instructions(List<Ptx.Statement> body) {
    List<Ptx.Instruction> found = new ArrayList<>();
    for (Ptx.Statement statement : body) {
      switch (statement) {
        case Ptx.Instruction instruction -> found.add(instruction);
        case Ptx.Block(List<Ptx.Statement> inner) -> found.addAll(instructions(inner));
        default -> {}
      }
    }
    return found;
  }

  /** Variables of a state space that are declared inside, those of inner scopes too. */
  static List<Ptx.Variable> variables(List<Ptx.Statement> body, Ptx.Space space) {
    List<Ptx.Variable> found = new ArrayList<>();
    for (Ptx.Statement statement : body) {
      switch (statement) {
        case Ptx.Declaration(Ptx.Variable variable) when variable.space() == space ->
            found.add(variable);
        case Ptx.Block(List<Ptx.Statement> inner) -> found.addAll(variables(inner, space));
        default -> {}
      }
    }
    return found;
  }

  /** The names in the operands of all instructions. */
  static Set<String> names(List<Ptx.Statement> body) {
    Set<String> names = new HashSet<>();
    for (Ptx.Instruction instruction : instructions(body)) {
      instruction.operands().forEach(operand -> addNames(operand, names));
    }
    return names;
  }

  private static void addNames(Ptx.Operand operand, Set<String> names) {
    switch (operand) {
      case Ptx.Name(String text) -> names.add(text);
      case Ptx.Offset offset -> names.add(offset.variable());
      case Ptx.Address address -> addNames(address.base(), names);
      case Ptx.TensorAddress tensor -> {
        addNames(tensor.base(), names);
        tensor.coordinates().forEach(c -> addNames(c, names));
      }
      case Ptx.Vector(List<Ptx.Operand> elements) -> elements.forEach(e -> addNames(e, names));
      case Ptx.Group(List<Ptx.Operand> elements) -> elements.forEach(e -> addNames(e, names));
      case Ptx.Pair(Ptx.Operand first, Ptx.Operand second) -> {
        addNames(first, names);
        addNames(second, names);
      }
      case Ptx.Not(Ptx.Operand inner) -> addNames(inner, names);
      case Ptx.Whole whole -> {}
      case Ptx.Real real -> {}
    }
  }
}
