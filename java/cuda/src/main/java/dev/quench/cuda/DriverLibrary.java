package dev.quench.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.util.Optional;

/**
 * The driver's library, which is installed with the kernel module and not with the toolkit. Looking
 * for it is all that a machine without a GPU pays for, so nothing else is loaded here.
 */
final class DriverLibrary {
  static final String NAME = "libcuda.so.1";

  private DriverLibrary() {}

  /** Loads it, for good; empty if there is none. */
  @SuppressWarnings("restricted") // native access is what this class is for
  static Optional<SymbolLookup> find() {
    try {
      return Optional.of(SymbolLookup.libraryLookup(NAME, Arena.global()));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }
}
