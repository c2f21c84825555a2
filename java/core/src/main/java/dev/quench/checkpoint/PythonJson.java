package dev.quench.checkpoint;

import java.math.BigDecimal;
import java.util.Iterator;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;

/**
 * Prints JSON as Python's {@code json.dumps(indent=2, sort_keys=True)} does, which is how
 * config.json files look.
 */
public final class PythonJson {
  private final StringBuilder out = new StringBuilder();

  private PythonJson() {}

  public static String print(JsonNode node) {
    PythonJson printer = new PythonJson();
    printer.value(node, 0);
    return printer.out.append('\n').toString();
  }

  private void value(JsonNode node, int depth) {
    if (node.isObject()) {
      Map<String, JsonNode> sorted = new TreeMap<>();
      node.properties().forEach(entry -> sorted.put(entry.getKey(), entry.getValue()));
      object(sorted, depth);
    } else if (node.isArray()) {
      array(node, depth);
    } else if (node.isString()) {
      string(node.asString());
    } else if (node.isFloatingPointNumber()) {
      out.append(number(node.asDouble()));
    } else {
      out.append(node);
    }
  }

  private void object(Map<String, JsonNode> entries, int depth) {
    if (entries.isEmpty()) {
      out.append("{}");
      return;
    }
    String separator = "{";
    for (Map.Entry<String, JsonNode> entry : entries.entrySet()) {
      out.append(separator);
      newLine(depth + 1);
      string(entry.getKey());
      out.append(": ");
      value(entry.getValue(), depth + 1);
      separator = ",";
    }
    newLine(depth);
    out.append('}');
  }

  private void array(JsonNode array, int depth) {
    Iterator<JsonNode> elements = array.iterator();
    if (!elements.hasNext()) {
      out.append("[]");
      return;
    }
    String separator = "[";
    while (elements.hasNext()) {
      out.append(separator);
      newLine(depth + 1);
      value(elements.next(), depth + 1);
      separator = ",";
    }
    newLine(depth);
    out.append(']');
  }

  private void newLine(int depth) {
    out.append('\n').repeat("  ", depth);
  }

  /** Everything beyond ASCII is escaped. */
  private void string(String text) {
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
          if (c < 0x20 || c > 0x7E) {
            out.append("\\u%04x".formatted((int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }

  /**
   * Python's repr: the shortest digits, plain from 1e-4 to 1e16, else with an exponent of at least
   * two digits.
   */
  private static String number(double value) {
    if (Double.isNaN(value)) {
      return "NaN";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "Infinity" : "-Infinity";
    }
    double magnitude = Math.abs(value);
    String shortest = Double.toString(value);
    if (magnitude == 0 || (magnitude >= 1e-3 && magnitude < 1e7)) {
      return shortest;
    }
    if (magnitude >= 1e-4 && magnitude < 1e16) {
      String plain = new BigDecimal(shortest).toPlainString();
      return plain.contains(".") ? plain : plain + ".0";
    }
    int e = shortest.indexOf('E');
    String digits = shortest.substring(0, e).replaceAll("\\.0$", "");
    int exponent = Integer.parseInt(shortest.substring(e + 1));
    return "%se%s%02d".formatted(digits, exponent < 0 ? "-" : "+", Math.abs(exponent));
  }
}
