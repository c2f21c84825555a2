package dev.quench.calibration;

import dev.quench.InvalidInputException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Rewrites a chat template from the Jinja of Python, as transformers sets it up (trim_blocks,
 * lstrip_blocks, loop controls), to what Jinjava understands. White space is settled here, so that
 * what comes out has no white-space control; comments and the markers of assistant turns go;
 * keyword arguments get parentheses, because Jinjava binds {@code name=a - 1} as {@code (name=a) -
 * 1}; and a reversing slice becomes a method. What Jinjava would quietly get wrong is refused.
 */
final class TemplateDialect {
  private static final Pattern LOOP =
      Pattern.compile("\\bloop\\s*\\.\\s*(previtem|nextitem|changed|depth0?)\\b");
  private static final Pattern FILTER = Pattern.compile("\\|\\s*(\\w+)");
  private static final Pattern TEST = Pattern.compile("\\bis\\s+(?:not\\s+)?(\\w+)");
  private static final String REVERSE = "[::-1]";

  private final String source;
  private final String name;
  private final Predicate<String> hasFilter;
  private final Predicate<String> hasTest;
  private final StringBuilder out = new StringBuilder();
  private final Deque<String> blocks = new ArrayDeque<>();
  private int at;

  /** Whether the text that follows starts a line. */
  private boolean lineStart = true;

  private TemplateDialect(
      String source, String name, Predicate<String> hasFilter, Predicate<String> hasTest) {
    String unix = source.replace("\r\n", "\n").replace('\r', '\n');
    this.source = unix.endsWith("\n") ? unix.substring(0, unix.length() - 1) : unix;
    this.name = name;
    this.hasFilter = hasFilter;
    this.hasTest = hasTest;
  }

  /**
   * @param name of the template, for messages
   * @param hasFilter whether there is a filter of this name; Jinjava passes over those that it
   *     doesn't know
   * @param hasTest the same for tests
   * @throws InvalidInputException if the template uses what can't be rendered faithfully, or a tag
   *     has no end
   */
  static String rewrite(
      String source, String name, Predicate<String> hasFilter, Predicate<String> hasTest) {
    TemplateDialect dialect = new TemplateDialect(source, name, hasFilter, hasTest);
    dialect.run();
    return dialect.out.toString();
  }

  private void run() {
    while (at < source.length()) {
      int open = nextOpening();
      String text = source.substring(at, open);
      if (open == source.length()) {
        text(text);
        return;
      }
      char kind = source.charAt(open + 1);
      char control = open + 2 < source.length() ? source.charAt(open + 2) : ' ';
      boolean controlled = control == '-' || (control == '+' && kind != '{');
      text(before(text, kind, controlled ? control : ' '));
      int start = open + (controlled ? 3 : 2);
      int close = kind == '#' ? comment(start) : closing(start, kind == '{' ? '}' : '%');
      boolean endControlled = close > start && isControl(source.charAt(close - 1), kind);
      String inside = source.substring(start, endControlled ? close - 1 : close);
      after(close, kind, endControlled ? source.charAt(close - 1) : ' ');
      if (kind == '{') {
        out.append("{{ ").append(expression(inside.strip(), false)).append(" }}");
      } else if (kind == '%') {
        tag(inside.strip());
      }
    }
  }

  private int nextOpening() {
    for (int i = at; i + 1 < source.length(); i++) {
      char next = source.charAt(i + 1);
      if (source.charAt(i) == '{' && (next == '{' || next == '%' || next == '#')) {
        return i;
      }
    }
    return source.length();
  }

  private static boolean isControl(char c, char kind) {
    return c == '-' || (c == '+' && kind != '{');
  }

  /** The text before an opening, without the white space that the opening takes away. */
  private String before(String text, char kind, char control) {
    if (control == '-') {
      return text.stripTrailing();
    }
    if (kind == '{' || control == '+') {
      return text;
    }
    int line = text.lastIndexOf('\n') + 1;
    boolean indents = text.substring(line).isBlank() && (line > 0 || lineStart);
    return indents ? text.substring(0, line) : text;
  }

  /** Moves behind a closing and the white space that it takes away. */
  private void after(int close, char kind, char control) {
    at = close + 2;
    lineStart = false;
    if (control == '-') {
      while (at < source.length() && Character.isWhitespace(source.charAt(at))) {
        lineStart = source.charAt(at++) == '\n';
      }
    } else if (kind != '{' && control != '+' && at < source.length() && source.charAt(at) == '\n') {
      at++;
      lineStart = true;
    }
  }

  private int comment(int from) {
    int end = source.indexOf("#}", from);
    if (end < 0) {
      throw failure("a comment has no end");
    }
    return end;
  }

  /** Where a tag ends; what stands in strings or brackets ends nothing. */
  private int closing(int from, char end) {
    int depth = 0;
    for (int i = from; i + 1 < source.length(); i++) {
      char c = source.charAt(i);
      if (depth == 0 && c == end && source.charAt(i + 1) == '}') {
        return i;
      }
      switch (c) {
        case '\'', '"' -> i = stringEnd(source, i);
        case '(', '[', '{' -> depth++;
        case ')', ']', '}' -> depth--;
        default -> {}
      }
    }
    throw failure("a tag has no end");
  }

  private int stringEnd(String text, int start) {
    for (int i = start + 1; i < text.length(); i++) {
      if (text.charAt(i) == '\\') {
        i++;
      } else if (text.charAt(i) == text.charAt(start)) {
        return i;
      }
    }
    throw failure("a string has no end");
  }

  private void text(String text) {
    if (text.indexOf('{') >= 0 || text.indexOf('}') >= 0) {
      out.append("{% raw %}").append(text).append("{% endraw %}");
    } else {
      out.append(text);
    }
  }

  private void tag(String tag) {
    String word = tag.split("\\W", 2)[0];
    switch (word) {
      case "raw" -> {
        raw();
        return;
      }
      case "generation", "endgeneration" -> {
        return;
      }
      case "if", "for" -> blocks.push(word);
      case "endif", "endfor" -> blocks.poll();
      case "else" -> {
        if ("for".equals(blocks.peek())) {
          throw failure("it uses for … else, which isn't supported");
        }
      }
      case "filter",
          "include",
          "import",
          "from",
          "extends",
          "block",
          "call",
          "autoescape",
          "trans" ->
          throw failure("it uses the tag " + word + ", which isn't supported");
      default -> {}
    }
    String rewritten = expression(tag, word.equals("macro"));
    if (word.equals("for") && hasFilter(tag)) {
      throw failure("it uses for … if or a recursive loop, which isn't supported");
    }
    out.append("{% ").append(rewritten).append(" %}");
  }

  private void raw() {
    int end = source.indexOf("{%", at);
    while (end >= 0 && !source.startsWith("endraw", wordAfter(end + 2))) {
      end = source.indexOf("{%", end + 2);
    }
    if (end < 0) {
      throw failure("raw has no end");
    }
    char control = source.charAt(end + 2);
    text(before(source.substring(at, end), '%', control == '-' || control == '+' ? control : ' '));
    int close = closing(end + 2, '%');
    after(close, '%', isControl(source.charAt(close - 1), '%') ? source.charAt(close - 1) : ' ');
  }

  private int wordAfter(int from) {
    int i = from;
    while (i < source.length()
        && !Character.isLetter(source.charAt(i))
        && source.charAt(i) != '%') {
      i++;
    }
    return i;
  }

  /**
   * Whether a loop has a condition; a conditional expression needs parentheses there, so depth
   * tells them apart.
   */
  private boolean hasFilter(String tag) {
    int depth = 0;
    for (int i = 0; i < tag.length(); i++) {
      switch (tag.charAt(i)) {
        case '\'', '"' -> i = stringEnd(tag, i);
        case '(', '[', '{' -> depth++;
        case ')', ']', '}' -> depth--;
        default -> {
          boolean word = depth == 0 && i > 0 && !Character.isJavaIdentifierPart(tag.charAt(i - 1));
          if (word && tag.substring(i).matches("(?s)(if|recursive)\\b.*")) {
            return true;
          }
        }
      }
    }
    return false;
  }

  private String expression(String text, boolean declaresParameters) {
    StringBuilder result = new StringBuilder();
    StringBuilder code = new StringBuilder();
    // One entry for each open bracket: '(' or '[' or '{', or '=' for a parenthesis whose keyword
    // argument is open.
    Deque<Character> open = new ArrayDeque<>();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '\'' || c == '"') {
        int end = stringEnd(text, i);
        result.append(text, i, end + 1);
        code.append("''");
        i = end;
        continue;
      }
      code.append(c);
      if (text.startsWith(REVERSE, i)) {
        result.append(".reversed()");
        i += REVERSE.length() - 1;
        continue;
      }
      switch (c) {
        case '(', '[', '{' -> open.push(c);
        case ')', ']' -> closeArgument(open, result, true);
        case '}' -> {
          open.poll();
          // Two closing braces would end the tag.
          result.append(' ');
        }
        case ',' -> closeArgument(open, result, false);
        default -> {}
      }
      result.append(Character.isWhitespace(c) ? ' ' : c);
      if (c == '='
          && !declaresParameters
          && isKeyword(text, i)
          && Character.valueOf('(').equals(open.peek())) {
        open.pop();
        open.push('=');
        result.append('(');
      }
    }
    if (LOOP.matcher(code).find()) {
      throw failure(
          "it uses loop.previtem, loop.nextitem, loop.changed or loop.depth, which aren't supported");
    }
    requireKnown(FILTER.matcher(code), hasFilter, "filter");
    requireKnown(TEST.matcher(code), hasTest, "test");
    return result.toString();
  }

  private void requireKnown(Matcher uses, Predicate<String> known, String kind) {
    while (uses.find()) {
      if (!known.test(uses.group(1))) {
        throw failure("it uses the " + kind + " " + uses.group(1) + ", which isn't supported");
      }
    }
  }

  private static void closeArgument(Deque<Character> open, StringBuilder result, boolean bracket) {
    if (Character.valueOf('=').equals(open.peek())) {
      result.append(')');
      open.pop();
      open.push('(');
    }
    if (bracket) {
      open.poll();
    }
  }

  private static boolean isKeyword(String text, int equals) {
    boolean comparedBefore = equals > 0 && "=!<>".indexOf(text.charAt(equals - 1)) >= 0;
    boolean comparedAfter = equals + 1 < text.length() && text.charAt(equals + 1) == '=';
    return !comparedBefore && !comparedAfter;
  }

  private InvalidInputException failure(String reason) {
    return new InvalidInputException(
        "The chat template of "
            + name
            + " can't be rendered: "
            + reason
            + ". Give the calibration rows as text instead of messages.");
  }
}
