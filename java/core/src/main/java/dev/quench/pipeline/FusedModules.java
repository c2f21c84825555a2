package dev.quench.pipeline;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Modules that runtimes join to one matrix when they load a checkpoint, and that therefore share
 * what there is one of for a matrix. Behaviour reference §1.7.
 */
final class FusedModules {
  /** Last parts of the names of children of one module. */
  private static final List<Set<String>> SETS =
      List.of(
          Set.of("q_proj", "k_proj", "v_proj"),
          Set.of("gate_proj", "up_proj"),
          Set.of("q_a_proj", "kv_a_proj_with_mqa"),
          Set.of("w1", "w3"));

  private FusedModules() {}

  /** All modules that are joined with others: each with all of its set, in the given order. */
  static Map<String, List<String>> sets(Collection<String> modules) {
    record Key(String parent, Set<String> set) {}
    Map<Key, List<String>> members = new LinkedHashMap<>();
    for (String module : modules) {
      int dot = module.lastIndexOf('.');
      String parent = module.substring(0, Math.max(dot, 0));
      for (Set<String> set : SETS) {
        if (set.contains(module.substring(dot + 1))) {
          members.computeIfAbsent(new Key(parent, set), key -> new ArrayList<>()).add(module);
        }
      }
    }
    Map<String, List<String>> sets = new LinkedHashMap<>();
    for (List<String> set : members.values()) {
      if (set.size() > 1) {
        set.forEach(module -> sets.put(module, List.copyOf(set)));
      }
    }
    return sets;
  }
}
