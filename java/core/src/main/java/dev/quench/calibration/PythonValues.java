package dev.quench.calibration;

import com.hubspot.jinjava.objects.collections.PyList;
import com.hubspot.jinjava.objects.collections.PyMap;
import com.hubspot.jinjava.util.HasObjectTruthValue;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Values of a conversation for Jinjava, which would join null, lists and maps to text without a
 * word where Python raises an error: as text, these are marked, so that the result can be refused.
 */
final class PythonValues {
  /** Characters that Unicode leaves to programs and that no text should have. */
  private static final String MARK = "\uFDD0\uFDD1\uFDD2";

  private PythonValues() {}

  /** Python's None. */
  enum None implements HasObjectTruthValue, Iterable<Object> {
    NONE;

    @Override
    public boolean getObjectTruthValue() {
      return false;
    }

    @Override
    public Iterator<Object> iterator() {
      throw new MisusedException("it takes null for a list");
    }

    @Override
    public String toString() {
      return marked("null");
    }
  }

  /** Jinja's undefined: false, without elements, and no text. */
  record Missing(String name) implements HasObjectTruthValue, Iterable<Object> {
    @Override
    public boolean getObjectTruthValue() {
      return false;
    }

    @Override
    public Iterator<Object> iterator() {
      return Collections.emptyIterator();
    }

    @Override
    public String toString() {
      return marked(name + ", which is missing,");
    }
  }

  /** A template took a value for what it isn't. */
  static final class MisusedException extends IllegalStateException {
    private static final long serialVersionUID = 1L;

    MisusedException(String message) {
      super(message);
    }
  }

  /**
   * What such a value becomes as text. It can't throw: comparing it with a string also makes it
   * text.
   */
  private static String marked(String what) {
    return MARK + what + MARK;
  }

  /** Which value became part of a text, if one did. */
  static Optional<String> misused(String text) {
    int start = text.indexOf(MARK);
    if (start < 0) {
      return Optional.empty();
    }
    int end = text.indexOf(MARK, start + MARK.length());
    String what = end < 0 ? "a value" : text.substring(start + MARK.length(), end);
    return Optional.of("it takes " + what + " for text");
  }

  static Object of(@Nullable Object json) {
    return switch (json) {
      case null -> None.NONE;
      case List<?> list -> list(list);
      case Map<?, ?> map -> map(map);
      case Integer number -> number.longValue();
      default -> json;
    };
  }

  static PyList list(List<?> list) {
    List<Object> values = new ArrayList<>(list.size());
    list.forEach(value -> values.add(of(value)));
    return new PyList(values) {
      @Override
      public String toString() {
        return marked("a list");
      }
    };
  }

  private static PyMap map(Map<?, ?> map) {
    Map<String, Object> values = new LinkedHashMap<>();
    map.forEach((key, value) -> values.put(String.valueOf(key), of(value)));
    return new PyMap(values) {
      @Override
      public Object get(@Nullable Object key) {
        Object value = super.get(key);
        return value == null ? new Missing(String.valueOf(key)) : value;
      }

      @Override
      public String toString() {
        return marked("an object");
      }
    };
  }
}
