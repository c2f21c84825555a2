package dev.quench.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * Loads cuBLAS, which belongs to the toolkit and not to the driver: from where the system's loader
 * looks, else from a toolkit's folder. JCublas is linked to it by name, and so finds what is
 * loaded.
 */
final class CublasLibrary {
  static final String NAME = "libcublas.so.12";

  /** What {@link #NAME} needs, and finds by its name too. */
  private static final String LIGHT = "libcublasLt.so.12";

  private CublasLibrary() {}

  /** Loads it, for good; whether it is there. */
  static boolean load() {
    return load(NAME) || folders().anyMatch(CublasLibrary::loadFrom);
  }

  private static Stream<Path> folders() {
    return Stream.concat(
            Stream.of("CUDA_HOME", "CUDA_PATH").map(System::getenv).filter(Objects::nonNull),
            Stream.of("/usr/local/cuda", "/usr/local/cuda-12"))
        .flatMap(home -> List.of("lib64", "lib").stream().map(lib -> Path.of(home, lib)))
        .filter(folder -> Files.exists(folder.resolve(NAME)));
  }

  private static boolean loadFrom(Path folder) {
    return load(folder.resolve(LIGHT).toString()) && load(folder.resolve(NAME).toString());
  }

  @SuppressWarnings("restricted") // native access is what this class is for
  private static boolean load(String library) {
    try {
      SymbolLookup.libraryLookup(library, Arena.global());
      return true;
    } catch (IllegalArgumentException e) {
      return false;
    }
  }
}
