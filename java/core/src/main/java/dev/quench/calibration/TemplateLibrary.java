package dev.quench.calibration;

import com.hubspot.jinjava.interpret.Context;
import com.hubspot.jinjava.interpret.JinjavaInterpreter;
import com.hubspot.jinjava.lib.exptest.ExpTest;
import com.hubspot.jinjava.lib.filter.AdvancedFilter;
import com.hubspot.jinjava.lib.fn.ELFunctionDefinition;
import com.hubspot.jinjava.objects.collections.PyList;
import com.hubspot.jinjava.objects.date.StrftimeFormatter;
import com.hubspot.jinjava.util.ObjectTruthValue;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The functions, filters and tests that transformers gives chat templates, and those where
 * Jinjava's own differ from Python's. Public only because Jinjava calls the functions from its own
 * package.
 */
public final class TemplateLibrary {
  private TemplateLibrary() {}

  /** What a template says through raise_exception. */
  static final class RaisedException extends IllegalStateException {
    private static final long serialVersionUID = 1L;

    RaisedException(String message) {
      super(message);
    }
  }

  static void register(Context context) {
    function(context, "raise_exception", "raise");
    function(context, "strftime_now", "now");
    context.registerFilter(
        filter(
            "tojson",
            (value, positional, named) -> PythonPrinter.print(value, indent(positional, named))));
    context.registerFilter(filter("trim", (value, positional, named) -> trim(value, positional)));
    context.registerFilter(filter("items", (value, positional, named) -> items(value)));
    for (String name : List.of("default", "d")) {
      context.registerFilter(filter(name, TemplateLibrary::orDefault));
    }
    context.registerExpTest(test("defined", value -> !isMissing(value)));
    context.registerExpTest(test("undefined", TemplateLibrary::isMissing));
    context.registerExpTest(
        test("none", value -> value == null || value == PythonValues.None.NONE));
    // To Python a string is a sequence of characters.
    context.registerExpTest(
        test(
            "iterable",
            value ->
                value instanceof CharSequence
                    || value instanceof Iterable
                    || value instanceof Map));
    context.registerExpTest(
        test(
            "sequence",
            value ->
                value instanceof CharSequence || value instanceof List || value instanceof Map));
  }

  /** For templates: fails with what they say. */
  @SuppressWarnings("DoNotCallSuggester") // Jinjava finds it by its name.
  public static Object raise(String message) {
    throw new RaisedException(message);
  }

  /** For templates: the time now in Python's format. */
  public static Object now(String format) {
    return StrftimeFormatter.format(ZonedDateTime.now(ZoneId.systemDefault()), format);
  }

  private static void function(Context context, String name, String method) {
    context.registerFunction(
        new ELFunctionDefinition("", name, TemplateLibrary.class, method, String.class));
    // So that "name is defined" holds.
    context.put(name, name);
  }

  private static int indent(Object[] positional, Map<String, Object> named) {
    Object indent = named.getOrDefault("indent", positional.length > 1 ? positional[1] : -1);
    return indent instanceof Number number ? number.intValue() : -1;
  }

  private static String trim(@Nullable Object value, Object[] positional) {
    return isMissing(value)
        ? ""
        : PythonMethods.strip(String.valueOf(value), positional, true, true);
  }

  private static boolean isMissing(@Nullable Object value) {
    return value == null || value instanceof PythonValues.Missing;
  }

  private static Object orDefault(
      @Nullable Object value, Object[] positional, Map<String, Object> named) {
    Object fallback =
        positional.length > 0 ? positional[0] : named.getOrDefault("default_value", "");
    Object alsoFalse = positional.length > 1 ? positional[1] : named.getOrDefault("boolean", false);
    boolean replaced =
        isMissing(value) || (Boolean.TRUE.equals(alsoFalse) && !ObjectTruthValue.evaluate(value));
    return replaced || value == null ? fallback : value;
  }

  private static PyList items(@Nullable Object value) {
    if (!(value instanceof Map<?, ?> map)) {
      throw new IllegalStateException("the filter items takes an object");
    }
    List<Object> pairs = new ArrayList<>();
    map.forEach((key, element) -> pairs.add(new PyList(new ArrayList<>(List.of(key, element)))));
    return new PyList(pairs);
  }

  @FunctionalInterface
  private interface Body {
    Object apply(@Nullable Object value, Object[] positional, Map<String, Object> named);
  }

  private static AdvancedFilter filter(String name, Body body) {
    return new AdvancedFilter() {
      @Override
      public Object filter(
          @Nullable Object value,
          JinjavaInterpreter interpreter,
          Object[] positional,
          Map<String, Object> named) {
        return body.apply(value, positional, named);
      }

      @Override
      public String getName() {
        return name;
      }
    };
  }

  @FunctionalInterface
  private interface Test {
    boolean holds(@Nullable Object value);
  }

  private static ExpTest test(String name, Test test) {
    return new ExpTest() {
      @Override
      public boolean evaluate(
          @Nullable Object value, JinjavaInterpreter interpreter, Object... arguments) {
        return test.holds(value);
      }

      @Override
      public String getName() {
        return name;
      }
    };
  }
}
