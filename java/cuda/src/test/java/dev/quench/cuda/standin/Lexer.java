package dev.quench.cuda.standin;

import java.util.ArrayList;
import java.util.List;

/** Cuts a PTX text into tokens; comments and white space end here. */
final class Lexer {
  private static final String PUNCTUATION = "{}[]()<>,;:+-|!@=*";

  private final String text;
  private final List<Token> tokens = new ArrayList<>();
  private int at;
  private int line = 1;

  private Lexer(String text) {
    this.text = text;
  }

  /** The tokens of a PTX text, the last of which is {@link Token.Kind#END}. */
  static List<Token> tokens(String text) {
    Lexer lexer = new Lexer(text);
    while (lexer.at < text.length()) {
      lexer.next();
    }
    lexer.add(Token.Kind.END, "end of text");
    return lexer.tokens;
  }

  private void next() {
    char c = text.charAt(at);
    if (c == '\n') {
      line++;
      at++;
    } else if (c == '\0' || Character.isWhitespace(c)) {
      at++;
    } else if (text.startsWith("//", at)) {
      int end = text.indexOf('\n', at);
      at = end < 0 ? text.length() : end;
    } else if (text.startsWith("/*", at)) {
      blockComment();
    } else if (c == '"') {
      string();
    } else if (Character.isDigit(c)) {
      number();
    } else if (isWord(c)) {
      word();
    } else if (PUNCTUATION.indexOf(c) >= 0) {
      at++;
      add(Token.Kind.PUNCTUATION, String.valueOf(c));
    } else {
      throw new PtxException(line, "unexpected character '" + c + "'");
    }
  }

  private void blockComment() {
    int end = text.indexOf("*/", at);
    if (end < 0) {
      throw new PtxException(line, "comment without end");
    }
    line += (int) text.substring(at, end).chars().filter(c -> c == '\n').count();
    at = end + 2;
  }

  private void string() {
    int end = at + 1;
    while (end < text.length() && text.charAt(end) != '"' && text.charAt(end) != '\n') {
      end += text.charAt(end) == '\\' ? 2 : 1;
    }
    if (end >= text.length() || text.charAt(end) != '"') {
      throw new PtxException(line, "string without end");
    }
    add(Token.Kind.STRING, text.substring(at + 1, end));
    at = end + 1;
  }

  private void number() {
    int end = at;
    while (end < text.length() && (Character.isLetterOrDigit(text.charAt(end)) || isPoint(end))) {
      end++;
    }
    add(Token.Kind.NUMBER, text.substring(at, end));
    at = end;
  }

  private boolean isPoint(int index) {
    return text.charAt(index) == '.'
        && index + 1 < text.length()
        && Character.isDigit(text.charAt(index + 1));
  }

  /** Words hold dots and double colons, so that an opcode with its modifiers is one token. */
  private void word() {
    int end = at;
    while (end < text.length()) {
      if (isWordPart(end)) {
        end++;
      } else if (text.startsWith("::", end) && end + 2 < text.length() && isWordPart(end + 2)) {
        end += 2;
      } else {
        break;
      }
    }
    add(Token.Kind.WORD, text.substring(at, end));
    at = end;
  }

  private boolean isWordPart(int index) {
    return isWord(text.charAt(index)) || Character.isDigit(text.charAt(index));
  }

  private static boolean isWord(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || "_$%.".indexOf(c) >= 0;
  }

  private void add(Token.Kind kind, String word) {
    tokens.add(new Token(kind, word, line));
  }
}
