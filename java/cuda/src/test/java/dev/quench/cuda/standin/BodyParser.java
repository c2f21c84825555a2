package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Parses the body of a function: scopes, labels, declarations and instructions. */
final class BodyParser {
  private final TokenCursor tokens;
  private final VariableParser variables;

  BodyParser(TokenCursor tokens) {
    this.tokens = tokens;
    variables = new VariableParser(tokens);
  }

  /** {@code { statement… }} */
  List<Ptx.Statement> block() {
    List<Ptx.Statement> statements = new ArrayList<>();
    tokens.expect("{");
    while (!tokens.accept("}")) {
      statement(statements);
    }
    return statements;
  }

  private void statement(List<Ptx.Statement> statements) {
    Token token = tokens.peek();
    switch (token.text()) {
      case ";" -> tokens.take();
      case "{" -> statements.add(new Ptx.Block(block()));
      case ".loc" -> statements.add(location());
      case ".pragma" -> pragma();
      case ".reg" -> statements.add(registers());
      case ".shared", ".local", ".param", ".const", ".global" ->
          statements.add(new Ptx.Declaration(variables.declaration()));
      default -> statements.add(labelOrInstruction(token));
    }
  }

  private Ptx.Statement labelOrInstruction(Token token) {
    if (token.kind() == Token.Kind.WORD && tokens.peekNext().is(":")) {
      tokens.take();
      tokens.take();
      if (tokens.accept(".branchtargets")) {
        return branchTargets(token.text());
      }
      return new Ptx.Label(token.line(), token.text());
    }
    if (token.text().startsWith(".")) {
      throw new PtxException(token.line(), "unknown directive '" + token.text() + "'");
    }
    return instruction();
  }

  private Ptx.BranchTargets branchTargets(String name) {
    List<String> labels = new ArrayList<>();
    do {
      labels.add(tokens.word());
    } while (tokens.accept(","));
    tokens.expect(";");
    return new Ptx.BranchTargets(name, labels);
  }

  /** {@code .loc file line column}, and for inlined code where it was inlined. */
  private Ptx.Location location() {
    tokens.take();
    int file = Math.toIntExact(tokens.wholeNumber());
    int line = Math.toIntExact(tokens.wholeNumber());
    tokens.wholeNumber();
    while (tokens.accept(",")) {
      tokens.word();
      while (tokens.peek().kind() == Token.Kind.NUMBER
          || tokens.at("+")
          || tokens.peek().text().startsWith("$L__info")) {
        tokens.take();
      }
    }
    return new Ptx.Location(file, line);
  }

  private void pragma() {
    tokens.take();
    tokens.string();
    tokens.expect(";");
  }

  /** {@code .reg .b32 %r<5>;} declares %r0 to %r4; {@code .reg .pred p, q;} declares two. */
  private Ptx.Registers registers() {
    int line = tokens.take().line();
    Type type = VariableParser.type(tokens.take(Token.Kind.WORD, "a type"));
    List<String> names = new ArrayList<>();
    do {
      String name = tokens.word();
      if (tokens.accept("<")) {
        long count = tokens.wholeNumber();
        for (long i = 0; i < count; i++) {
          names.add(name + i);
        }
        tokens.expect(">");
      } else {
        names.add(name);
      }
    } while (tokens.accept(","));
    tokens.expect(";");
    return new Ptx.Registers(line, type, names);
  }

  private Ptx.Instruction instruction() {
    Optional<Ptx.Guard> guard = Optional.empty();
    if (tokens.accept("@")) {
      boolean negated = tokens.accept("!");
      guard = Optional.of(new Ptx.Guard(tokens.word(), negated));
    }
    Token opcode = tokens.take(Token.Kind.WORD, "an instruction");
    List<String> words = List.of(opcode.text().split("\\."));
    List<Ptx.Operand> operands = new ArrayList<>();
    while (!tokens.accept(";")) {
      operands.add(operand());
      if (!tokens.at(";")) {
        tokens.expect(",");
      }
    }
    return new Ptx.Instruction(
        opcode.line(), guard, words.getFirst(), words.subList(1, words.size()), operands);
  }

  private Ptx.Operand operand() {
    Ptx.Operand operand = simpleOperand();
    return tokens.accept("|") ? new Ptx.Pair(operand, simpleOperand()) : operand;
  }

  private Ptx.Operand simpleOperand() {
    Token token = tokens.peek();
    if (tokens.accept("[")) {
      return address();
    }
    if (tokens.accept("{")) {
      return new Ptx.Vector(list("}"));
    }
    if (tokens.accept("(")) {
      return new Ptx.Group(list(")"));
    }
    if (tokens.accept("!")) {
      return new Ptx.Not(simpleOperand());
    }
    if (tokens.accept("-")) {
      return negative(token);
    }
    if (token.kind() == Token.Kind.NUMBER) {
      return Numbers.operand(tokens.take());
    }
    String name = tokens.word();
    return tokens.at("+") || tokens.at("-") ? new Ptx.Offset(name, offset()) : new Ptx.Name(name);
  }

  private Ptx.Operand negative(Token token) {
    return switch (Numbers.operand(tokens.take(Token.Kind.NUMBER, "a number"))) {
      case Ptx.Whole whole -> new Ptx.Whole(-whole.value());
      case Ptx.Real real when real.type() == Type.F64 ->
          new Ptx.Real(Type.F64, real.bits() ^ Long.MIN_VALUE);
      default -> throw new PtxException(token.line(), "misplaced '-'");
    };
  }

  private List<Ptx.Operand> list(String end) {
    List<Ptx.Operand> elements = new ArrayList<>();
    while (!tokens.accept(end)) {
      elements.add(operand());
      if (!tokens.at(end)) {
        tokens.expect(",");
      }
    }
    return elements;
  }

  private Ptx.Operand address() {
    Token token = tokens.peek();
    Ptx.Operand base =
        token.kind() == Token.Kind.NUMBER
            ? Numbers.operand(tokens.take())
            : new Ptx.Name(tokens.word());
    long offset = tokens.at("+") || tokens.at("-") ? offset() : 0;
    if (tokens.accept(",")) {
      tokens.expect("{");
      List<Ptx.Operand> coordinates = list("}");
      tokens.expect("]");
      return new Ptx.TensorAddress(base, coordinates);
    }
    tokens.expect("]");
    return new Ptx.Address(base, offset);
  }

  /** {@code +4}, {@code -4} or {@code +-4}. */
  private long offset() {
    boolean negative = tokens.take().is("-");
    if (tokens.accept("-")) {
      negative = true;
    }
    long bytes = tokens.wholeNumber();
    return negative ? -bytes : bytes;
  }
}
