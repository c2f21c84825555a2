package dev.quench.calibration;

import com.hubspot.jinjava.objects.collections.PyList;
import java.beans.FeatureDescriptor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import jinjava.javax.el.ELContext;
import jinjava.javax.el.ELResolver;
import org.jspecify.annotations.Nullable;

/**
 * Python's methods of strings, lists and dicts that templates call, and the characters of a string
 * by index.
 */
final class PythonMethods extends ELResolver {
  @Override
  public @Nullable Object invoke(
      ELContext context,
      @Nullable Object base,
      @Nullable Object method,
      Class<?> @Nullable [] types,
      Object @Nullable [] arguments) {
    Object[] given = arguments == null ? new Object[0] : arguments;
    String name = String.valueOf(method);
    Object result =
        switch (base) {
          case CharSequence text -> text(text.toString(), name, given);
          case List<?> list when name.equals("reversed") -> reversed(list);
          case Map<?, ?> map when name.equals("get") -> get(map, given);
          case Map<?, ?> map when name.equals("values") ->
              new PyList(new ArrayList<>(map.values()));
          case null, default -> null;
        };
    if (result != null) {
      context.setPropertyResolved(true);
    }
    return result;
  }

  private static @Nullable Object text(String text, String method, Object[] arguments) {
    return switch (method) {
      case "strip" -> strip(text, arguments, true, true);
      case "lstrip" -> strip(text, arguments, true, false);
      case "rstrip" -> strip(text, arguments, false, true);
      case "startswith" -> text.startsWith(string(arguments, 0));
      case "endswith" -> text.endsWith(string(arguments, 0));
      case "upper" -> text.toUpperCase(Locale.ROOT);
      case "lower" -> text.toLowerCase(Locale.ROOT);
      case "capitalize" -> capitalize(text);
      case "title" -> title(text);
      case "replace" -> text.replace(string(arguments, 0), string(arguments, 1));
      case "split" -> split(text, arguments);
      case "splitlines" -> new PyList(new ArrayList<>(text.lines().toList()));
      case "find" -> (long) text.indexOf(string(arguments, 0));
      case "count" -> count(text, string(arguments, 0));
      case "join" -> join(text, arguments);
      case "reversed" -> new StringBuilder(text).reverse().toString();
      default -> null;
    };
  }

  static String strip(String text, Object[] arguments, boolean left, boolean right) {
    String characters =
        arguments.length > 0 && arguments[0] instanceof CharSequence given ? given.toString() : "";
    int start = 0;
    int end = text.length();
    while (left && start < end && strips(characters, text.charAt(start))) {
      start++;
    }
    while (right && end > start && strips(characters, text.charAt(end - 1))) {
      end--;
    }
    return text.substring(start, end);
  }

  private static boolean strips(String characters, char c) {
    if (!characters.isEmpty()) {
      return characters.indexOf(c) >= 0;
    }
    // Python counts no-break spaces and NEL as white space, Java doesn't.
    return Character.isWhitespace(c) || Character.isSpaceChar(c) || c == '\u0085';
  }

  private static String capitalize(String text) {
    return text.isEmpty()
        ? text
        : text.substring(0, 1).toUpperCase(Locale.ROOT)
            + text.substring(1).toLowerCase(Locale.ROOT);
  }

  private static String title(String text) {
    StringBuilder result = new StringBuilder();
    boolean inWord = false;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      result.append(inWord ? Character.toLowerCase(c) : Character.toUpperCase(c));
      inWord = Character.isLetter(c);
    }
    return result.toString();
  }

  private static PyList split(String text, Object[] arguments) {
    long most = arguments.length > 1 ? ((Number) arguments[1]).longValue() : -1;
    List<Object> parts = new ArrayList<>();
    if (arguments.length == 0) {
      parts.addAll(List.of(strip(text, arguments, true, true).split("\\s+")));
      parts.removeIf(""::equals);
      return new PyList(parts);
    }
    String separator = string(arguments, 0);
    int start = 0;
    for (int end = text.indexOf(separator);
        end >= 0 && parts.size() != most;
        end = text.indexOf(separator, start)) {
      parts.add(text.substring(start, end));
      start = end + separator.length();
    }
    parts.add(text.substring(start));
    return new PyList(parts);
  }

  private static long count(String text, String part) {
    long count = 0;
    for (int i = text.indexOf(part); i >= 0; i = text.indexOf(part, i + part.length())) {
      count++;
    }
    return count;
  }

  private static String join(String separator, Object[] arguments) {
    List<String> parts = new ArrayList<>();
    ((Iterable<?>) arguments[0]).forEach(part -> parts.add(String.valueOf(part)));
    return String.join(separator, parts);
  }

  private static String string(Object[] arguments, int index) {
    if (index < arguments.length && arguments[index] instanceof CharSequence text) {
      return text.toString();
    }
    throw new IllegalStateException(
        "a method of a string needs a string as argument " + (index + 1));
  }

  private static Object get(Map<?, ?> map, Object[] arguments) {
    if (map.containsKey(arguments[0])) {
      return PythonValues.of(map.get(arguments[0]));
    }
    return PythonValues.of(arguments.length > 1 ? arguments[1] : null);
  }

  private static PyList reversed(List<?> list) {
    List<Object> reversed = new ArrayList<>(list);
    Collections.reverse(reversed);
    return new PyList(reversed);
  }

  /** The character at an index, counted from the end if it is negative. */
  @Override
  public @Nullable Object getValue(
      ELContext context, @Nullable Object base, @Nullable Object property) {
    if (!(base instanceof CharSequence text) || !String.valueOf(property).matches("-?\\d{1,9}")) {
      return null;
    }
    int index = Integer.parseInt(String.valueOf(property));
    int at = index < 0 ? index + text.length() : index;
    if (at < 0 || at >= text.length()) {
      return null;
    }
    context.setPropertyResolved(true);
    return String.valueOf(text.charAt(at));
  }

  @Override
  public @Nullable Class<?> getType(
      ELContext context, @Nullable Object base, @Nullable Object property) {
    return null;
  }

  @Override
  public void setValue(
      ELContext context,
      @Nullable Object base,
      @Nullable Object property,
      @Nullable Object value) {}

  @Override
  public boolean isReadOnly(ELContext context, @Nullable Object base, @Nullable Object property) {
    return true;
  }

  @Override
  public Class<?> getCommonPropertyType(ELContext context, @Nullable Object base) {
    return Object.class;
  }

  @Override
  public @Nullable Iterator<FeatureDescriptor> getFeatureDescriptors(
      ELContext context, @Nullable Object base) {
    return null;
  }
}
