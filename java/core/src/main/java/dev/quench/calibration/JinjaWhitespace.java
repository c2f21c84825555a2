package dev.quench.calibration;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Resolves Jinja's whitespace control in a template's source, as transformers sets it: {@code -}
 * inside a tag strips all whitespace on that side; the newline after a block is dropped
 * (trim_blocks); whitespace between the start of a line and a block is dropped (lstrip_blocks).
 * What is left means the same to an engine that does none of that.
 */
final class JinjaWhitespace {
  private static final Pattern TAG =
      Pattern.compile(
          "\\{(?<open>[{%#])(?<left>[-+]?)(?<body>.*?)(?<right>[-+]?)(?:\\}\\}|%\\}|#\\})",
          Pattern.DOTALL);

  private JinjaWhitespace() {}

  static String resolve(String template) {
    StringBuilder out = new StringBuilder();
    Matcher tag = TAG.matcher(template);
    int at = 0;
    boolean strip = false;
    boolean trim = false;
    while (tag.find(at)) {
      boolean block = !tag.group("open").equals("{");
      String text = after(template.substring(at, tag.start()), strip, trim);
      if (tag.group("left").equals("-")) {
        text = text.stripTrailing();
      } else if (block && !tag.group("left").equals("+")) {
        text = withoutIndent(text, out);
      }
      out.append(text);
      if (!tag.group("open").equals("#")) {
        String close = block ? "%}" : "}}";
        out.append('{').append(tag.group("open")).append(' ');
        out.append(tag.group("body").strip()).append(' ').append(close);
      }
      strip = tag.group("right").equals("-");
      trim = block && !tag.group("right").equals("+");
      at = tag.end();
    }
    return out.append(after(template.substring(at), strip, trim)).toString();
  }

  private static String after(String text, boolean strip, boolean trim) {
    if (strip) {
      return text.stripLeading();
    }
    return trim && text.startsWith("\n") ? text.substring(1) : text;
  }

  /** Without the blanks that end the text, if nothing else is on their line. */
  private static String withoutIndent(String text, StringBuilder before) {
    int end = text.length();
    while (end > 0 && (text.charAt(end - 1) == ' ' || text.charAt(end - 1) == '\t')) {
      end--;
    }
    boolean lineStart =
        end > 0 ? text.charAt(end - 1) == '\n' : before.isEmpty() || startsLine(before);
    return lineStart ? text.substring(0, end) : text;
  }

  private static boolean startsLine(StringBuilder before) {
    return before.charAt(before.length() - 1) == '\n';
  }
}
