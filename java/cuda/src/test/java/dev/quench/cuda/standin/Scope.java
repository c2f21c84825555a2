package dev.quench.cuda.standin;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The names that are visible at a place of the text; inner scopes hide outer ones. */
final class Scope {
  private final @Nullable Scope outer;
  private final Map<String, Place> places = new HashMap<>();

  Scope(@Nullable Scope outer) {
    this.outer = outer;
  }

  void declare(int line, String name, Place place) {
    if (places.put(name, place) != null) {
      throw new PtxException(line, "'" + name + "' is declared twice");
    }
  }

  Optional<Place> find(String name) {
    Place place = places.get(name);
    if (place != null) {
      return Optional.of(place);
    }
    return outer == null ? Optional.empty() : outer.find(name);
  }
}
