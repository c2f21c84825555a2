package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;

/** Parses declarations of variables in memory and of parameters. */
final class VariableParser {
  private final TokenCursor tokens;

  VariableParser(TokenCursor tokens) {
    this.tokens = tokens;
  }

  /** {@code .shared .align 8 .b8 name[16] = {…};} */
  Ptx.Variable declaration() {
    Ptx.Variable variable = variable();
    tokens.expect(";");
    return variable;
  }

  /** {@code (.param .u64 a, .param .align 4 .b8 b[12])} */
  List<Ptx.Variable> parameters() {
    List<Ptx.Variable> parameters = new ArrayList<>();
    tokens.expect("(");
    while (!tokens.accept(")")) {
      parameters.add(variable());
      if (!tokens.at(")")) {
        tokens.expect(",");
      }
    }
    return parameters;
  }

  private Ptx.Variable variable() {
    Token head = tokens.take(Token.Kind.WORD, "a state space");
    Ptx.Space space = space(head);
    long alignment = 0;
    if (tokens.accept(".align")) {
      alignment = tokens.wholeNumber();
    }
    Token typeToken = tokens.take(Token.Kind.WORD, "a type");
    Type type = type(typeToken);
    pointerAttributes();
    String name = tokens.word();
    OptionalLong elements = elements();
    return new Ptx.Variable(
        head.line(),
        space,
        Math.max(alignment, type.bytes()),
        type,
        name,
        elements,
        initial(typeToken.line()));
  }

  private static Ptx.Space space(Token token) {
    for (Ptx.Space space : Ptx.Space.values()) {
      if (token.is("." + space.name().toLowerCase(Locale.ROOT))) {
        return space;
      }
    }
    throw new PtxException(token.line(), "no state space: '" + token.text() + "'");
  }

  static Type type(Token token) {
    return Type.named(token.text().replaceFirst("^\\.", ""))
        .orElseThrow(() -> new PtxException(token.line(), "unknown type '" + token.text() + "'"));
  }

  /** {@code .ptr .global .align 16} says what a pointer parameter points to. */
  private void pointerAttributes() {
    while (tokens.peek().text().startsWith(".")) {
      if (tokens.take().is(".align")) {
        tokens.wholeNumber();
      }
    }
  }

  /** {@code [4][8]}; empty for {@code []}; 1 where there are no brackets. */
  private OptionalLong elements() {
    long elements = 1;
    while (tokens.accept("[")) {
      if (tokens.accept("]")) {
        return OptionalLong.empty();
      }
      elements = Math.multiplyExact(elements, tokens.wholeNumber());
      tokens.expect("]");
    }
    return OptionalLong.of(elements);
  }

  private List<Long> initial(int line) {
    List<Long> values = new ArrayList<>();
    if (tokens.accept("=")) {
      if (!tokens.accept("{")) {
        values.add(value(line));
      } else {
        while (!tokens.accept("}")) {
          values.add(value(line));
          if (!tokens.at("}")) {
            tokens.expect(",");
          }
        }
      }
    }
    return values;
  }

  private long value(int line) {
    boolean negative = tokens.accept("-");
    if (tokens.peek().kind() != Token.Kind.NUMBER) {
      throw new PtxException(line, "initial values other than numbers are not supported");
    }
    long bits =
        switch (Numbers.operand(tokens.take())) {
          case Ptx.Real real -> real.bits();
          case Ptx.Whole whole -> whole.value();
          default -> throw new PtxException(line, "initial value is not a number");
        };
    return negative ? -bits : bits;
  }
}
