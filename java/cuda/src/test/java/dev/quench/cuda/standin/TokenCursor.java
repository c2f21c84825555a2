package dev.quench.cuda.standin;

import java.util.List;

/** A position in a list of tokens, with the few moves that the parsers need. */
final class TokenCursor {
  private final List<Token> tokens;
  private int at;

  TokenCursor(List<Token> tokens) {
    this.tokens = tokens;
  }

  Token peek() {
    return tokens.get(at);
  }

  Token peekNext() {
    return tokens.get(Math.min(at + 1, tokens.size() - 1));
  }

  Token take() {
    Token token = tokens.get(at);
    if (token.kind() == Token.Kind.END) {
      throw new PtxException(token.line(), "the text ends too early");
    }
    at++;
    return token;
  }

  boolean at(String text) {
    return peek().is(text);
  }

  boolean atEnd() {
    return peek().kind() == Token.Kind.END;
  }

  /** Takes the next token if it is this one. */
  boolean accept(String text) {
    if (!at(text)) {
      return false;
    }
    take();
    return true;
  }

  void expect(String text) {
    Token token = take();
    if (!token.is(text)) {
      throw new PtxException(
          token.line(), "expected '" + text + "' but found '" + token.text() + "'");
    }
  }

  String word() {
    return take(Token.Kind.WORD, "a name").text();
  }

  long wholeNumber() {
    Token token = take(Token.Kind.NUMBER, "a number");
    return Numbers.whole(token);
  }

  String string() {
    return take(Token.Kind.STRING, "a string").text();
  }

  Token take(Token.Kind kind, String what) {
    Token token = take();
    if (token.kind() != kind) {
      throw new PtxException(
          token.line(), "expected " + what + " but found '" + token.text() + "'");
    }
    return token;
  }
}
