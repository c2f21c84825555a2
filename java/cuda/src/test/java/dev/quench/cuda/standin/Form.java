package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * An instruction while it is translated. Its modifiers are taken one by one, and {@link #finish}
 * refuses those that nobody took: no modifier can be overlooked.
 */
final class Form {
  private final Ptx.Instruction instruction;
  private final Operands names;
  private final List<String> modifiers;

  Form(Ptx.Instruction instruction, Operands names) {
    this.instruction = instruction;
    this.names = names;
    modifiers = new ArrayList<>(instruction.modifiers());
  }

  String opcode() {
    return instruction.opcode();
  }

  Operands names() {
    return names;
  }

  // ---- modifiers

  /** Takes a modifier if it is there. */
  boolean take(String modifier) {
    return modifiers.remove(modifier);
  }

  /** Takes the first of these modifiers that is there. */
  Optional<String> takeOne(String... choices) {
    return Arrays.stream(choices).filter(modifiers::remove).findFirst();
  }

  /** Takes the one of these modifiers that must be there. */
  String need(String... choices) {
    return takeOne(choices)
        .orElseThrow(() -> new Untranslatable("none of " + List.of(choices) + " in " + modifiers));
  }

  /** Takes modifiers that don't change what the instruction computes. */
  void ignore(String... choices) {
    modifiers.removeAll(List.of(choices));
  }

  boolean has(String modifier) {
    return modifiers.contains(modifier);
  }

  /** The next modifier that is a type. */
  Type needType() {
    for (String modifier : modifiers) {
      Optional<Type> type = Type.named(modifier);
      if (type.isPresent()) {
        modifiers.remove(modifier);
        return type.get();
      }
    }
    throw new Untranslatable("no type in " + modifiers);
  }

  /** The last modifier that is a type, without taking it. */
  Optional<Type> lastType() {
    return instruction.modifiers().reversed().stream()
        .flatMap(m -> Type.named(m).stream())
        .findFirst();
  }

  /** The one modifier left that starts with a prefix; what follows the prefix. */
  Optional<String> takePrefixed(String prefix) {
    for (String modifier : modifiers) {
      if (modifier.startsWith(prefix)) {
        modifiers.remove(modifier);
        return Optional.of(modifier.substring(prefix.length()));
      }
    }
    return Optional.empty();
  }

  void finish() {
    if (!modifiers.isEmpty()) {
      throw new Untranslatable("modifiers " + modifiers);
    }
  }

  // ---- operands

  int size() {
    return instruction.operands().size();
  }

  Ptx.Operand operand(int index) {
    if (index >= size()) {
      throw new Untranslatable("operand " + index + " is missing");
    }
    return instruction.operands().get(index);
  }

  void needSize(int least, int most) {
    if (size() < least || size() > most) {
      throw new Untranslatable(size() + " operands");
    }
  }

  String read(int index, Type type) {
    return names.read(operand(index), type);
  }

  String write(int index, Type type, String expression) {
    return names.write(operand(index), type, expression);
  }

  /** The elements of {@code {…}}, or the operand itself where it is no vector. */
  List<Ptx.Operand> elements(int index) {
    return operand(index) instanceof Ptx.Vector(List<Ptx.Operand> elements)
        ? elements
        : List.of(operand(index));
  }

  /** The elements of a vector, read as C++ expressions separated by commas. */
  String readAll(int index, Type type) {
    return String.join(", ", elements(index).stream().map(e -> names.read(e, type)).toList());
  }

  /** Sets the registers of a vector to the elements of a C++ array. */
  String writeAll(int index, Type type, String array) {
    StringBuilder text = new StringBuilder();
    List<Ptx.Operand> elements = elements(index);
    for (int i = 0; i < elements.size(); i++) {
      text.append(names.write(elements.get(i), type, array + "[" + i + "]")).append(' ');
    }
    return text.toString();
  }

  /** The integer constant that an operand must be. */
  long constant(int index) {
    if (operand(index) instanceof Ptx.Whole(long value)) {
      return value;
    }
    throw new Untranslatable("operand " + operand(index) + " is not a constant");
  }

  /** The offset in shared memory that {@code [base + offset]} names, unchecked. */
  String sharedOffset(int index) {
    return names.sharedOffset(operand(index));
  }

  /**
   * The host address that {@code [base + offset]} names.
   *
   * @param bytes how many bytes are used there; checked in shared memory
   */
  String address(int index, boolean shared, long bytes) {
    return names.address(operand(index), shared, bytes);
  }
}
