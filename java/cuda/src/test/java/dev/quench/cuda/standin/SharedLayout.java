package dev.quench.cuda.standin;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Where a kernel's shared variables lie in the block's buffer: static variables first, then the
 * arrays of unknown size, which all start where the launch's dynamic memory starts.
 */
final class SharedLayout {
  private final Map<String, Long> offsets = new LinkedHashMap<>();
  private long bytes;

  /**
   * @param variables shared variables of the module and of the kernel
   * @param used the names that the kernel mentions; others take no room
   */
  SharedLayout(List<Ptx.Variable> variables, Set<String> used) {
    List<Ptx.Variable> mentioned = variables.stream().filter(v -> used.contains(v.name())).toList();
    for (Ptx.Variable variable : mentioned) {
      if (variable.elements().isPresent()) {
        bytes = aligned(bytes, variable.alignment());
        offsets.put(variable.name(), bytes);
        bytes = Math.addExact(bytes, variable.bytes());
      }
    }
    List<Ptx.Variable> dynamic = mentioned.stream().filter(v -> v.elements().isEmpty()).toList();
    for (Ptx.Variable variable : dynamic) {
      bytes = aligned(bytes, variable.alignment());
    }
    for (Ptx.Variable variable : dynamic) {
      offsets.put(variable.name(), bytes);
    }
  }

  private static long aligned(long offset, long alignment) {
    return Math.ceilDiv(offset, alignment) * alignment;
  }

  /** Offset of each variable in the block's buffer. */
  Map<String, Long> offsets() {
    return offsets;
  }

  /** Bytes of static variables: where dynamic memory starts. */
  long bytes() {
    return bytes;
  }
}
