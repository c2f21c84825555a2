package dev.quench.recipe;

import java.util.HashMap;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Translates a regular expression of Python's {@code re} to Java's, where they differ: named groups
 * and their references, {@code \Z}, {@code \v}, {@code \U}, braces that aren't quantifiers, and
 * character classes, in which Java gives {@code [} and {@code &&} a meaning. Escapes that only Java
 * knows are errors, as they are in Python.
 */
final class PythonRegex {
  private static final Pattern QUANTIFIER = Pattern.compile("\\{(\\d*)(,?)(\\d*)}");
  private static final String SHARED_ESCAPES = "AbBdDsSwWafnrtxu";

  private final String regex;
  private final StringBuilder java = new StringBuilder();
  private final Map<String, String> groups = new HashMap<>();
  private int at;

  private PythonRegex(String regex) {
    this.regex = regex;
  }

  /**
   * @throws PatternSyntaxException if it's no regular expression, or one that Java lacks
   */
  static Pattern compile(String regex) {
    return Pattern.compile(new PythonRegex(regex).translate(), Pattern.UNICODE_CHARACTER_CLASS);
  }

  private String translate() {
    while (at < regex.length()) {
      switch (regex.charAt(at)) {
        case '\\' -> escape();
        case '[' -> characterClass();
        case '{' -> brace();
        case '(' -> group();
        default -> java.append(regex.charAt(at++));
      }
    }
    return java.toString();
  }

  private void escape() {
    if (at + 1 == regex.length()) {
      throw error("a backslash at the end");
    }
    char escaped = regex.charAt(at + 1);
    at += 2;
    if (escaped == 'Z') {
      java.append("\\z");
    } else if (escaped == 'v') {
      java.append("\\x0B");
    } else if (escaped == 'U') {
      if (at + 8 > regex.length()) {
        throw error("\\U without eight digits");
      }
      java.append("\\x{").append(regex, at, at + 8).append('}');
      at += 8;
    } else if (isLetter(escaped) && SHARED_ESCAPES.indexOf(escaped) < 0) {
      throw error("bad escape \\" + escaped);
    } else {
      java.append('\\').append(escaped);
    }
  }

  /** {@code [} first, then {@code ^} and a literal {@code ]} if they are there. */
  private void characterClass() {
    java.append(regex.charAt(at++));
    if (at < regex.length() && regex.charAt(at) == '^') {
      java.append(regex.charAt(at++));
    }
    boolean first = true;
    while (at < regex.length() && (first || regex.charAt(at) != ']')) {
      char c = regex.charAt(at);
      if (c == '\\') {
        escape();
      } else {
        boolean plain = c == '-' || c >= 128 || Character.isLetterOrDigit(c);
        java.append(plain ? "" : "\\").append(c);
        at++;
      }
      first = false;
    }
    if (at == regex.length()) {
      throw error("unterminated character set");
    }
    java.append(regex.charAt(at++));
  }

  private void brace() {
    var quantifier = QUANTIFIER.matcher(regex).region(at, regex.length());
    boolean found =
        quantifier.lookingAt() && !(quantifier.group(1).isEmpty() && quantifier.group(2).isEmpty());
    if (!found) {
      java.append("\\{");
      at++;
      return;
    }
    String least = quantifier.group(1).isEmpty() ? "0" : quantifier.group(1);
    java.append('{').append(least).append(quantifier.group(2)).append(quantifier.group(3));
    java.append('}');
    at = quantifier.end();
  }

  private void group() {
    if (regex.startsWith("(?P<", at)) {
      String name = upTo('>', at + 4);
      groups.put(name, "g" + groups.size());
      java.append("(?<").append(groups.get(name)).append('>');
    } else if (regex.startsWith("(?P=", at)) {
      String name = upTo(')', at + 4);
      String group = groups.get(name);
      if (group == null) {
        throw error("unknown group name " + name);
      }
      java.append("\\k<").append(group).append('>');
    } else if (regex.startsWith("(?(", at)) {
      throw error("a conditional group, which Quench doesn't support");
    } else if (regex.startsWith("(?<", at)
        && !regex.startsWith("(?<=", at)
        && !regex.startsWith("(?<!", at)) {
      throw error("a group name must be written (?P<name>...)");
    } else {
      java.append(regex.charAt(at++));
    }
  }

  /** The text up to that character, which is skipped. */
  private String upTo(char end, int from) {
    int index = regex.indexOf(end, from);
    if (index < 0) {
      throw error("missing " + end);
    }
    at = index + 1;
    return regex.substring(from, index);
  }

  private static boolean isLetter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }

  private PatternSyntaxException error(String message) {
    return new PatternSyntaxException(message, regex, Math.min(at, regex.length()));
  }
}
