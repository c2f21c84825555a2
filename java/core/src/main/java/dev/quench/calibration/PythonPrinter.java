package dev.quench.calibration;

import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** JSON of a template's values as Python's {@code json.dumps(ensure_ascii=False)} prints it. */
final class PythonPrinter {
  private final StringBuilder out = new StringBuilder();
  private final int indent;

  private PythonPrinter(int indent) {
    this.indent = indent;
  }

  /**
   * @param indent spaces per level, or −1 for one line
   */
  static String print(@Nullable Object value, int indent) {
    PythonPrinter printer = new PythonPrinter(indent);
    printer.value(value, 1);
    return printer.out.toString();
  }

  private void value(@Nullable Object value, int depth) {
    switch (value) {
      case null -> out.append("null");
      case PythonValues.None none -> out.append("null");
      case CharSequence text -> string(text);
      case Map<?, ?> map -> map(map, depth);
      case List<?> list -> list(list, depth);
      case Number number -> out.append(number);
      case Boolean truth -> out.append(truth);
      default ->
          throw new IllegalStateException(
              "the filter tojson can't print " + value.getClass().getSimpleName());
    }
  }

  private void map(Map<?, ?> map, int depth) {
    out.append('{');
    Iterator<? extends Map.Entry<?, ?>> entries = map.entrySet().iterator();
    for (boolean first = true; entries.hasNext(); first = false) {
      Map.Entry<?, ?> entry = entries.next();
      separate(first, depth);
      string(String.valueOf(entry.getKey()));
      out.append(": ");
      value(entry.getValue(), depth + 1);
    }
    end(map.isEmpty(), depth - 1);
    out.append('}');
  }

  private void list(List<?> list, int depth) {
    out.append('[');
    for (int i = 0; i < list.size(); i++) {
      separate(i == 0, depth);
      value(list.get(i), depth + 1);
    }
    end(list.isEmpty(), depth - 1);
    out.append(']');
  }

  private void separate(boolean first, int depth) {
    if (indent >= 0) {
      out.append(first ? "\n" : ",\n").repeat(' ', indent * depth);
    } else if (!first) {
      out.append(", ");
    }
  }

  private void end(boolean empty, int depth) {
    if (indent >= 0 && !empty) {
      out.append('\n').repeat(' ', indent * depth);
    }
  }

  private void string(CharSequence text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        case '\b' -> out.append("\\b");
        case '\f' -> out.append("\\f");
        default -> {
          if (c < ' ') {
            out.append("\\u").append(String.format("%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }
}
