package dev.quench.cuda.standin;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Builds the CPU stand-in for the CUDA driver, and the translations of all kernels in the class
 * path, into a folder: {@code libcuda.so.1}, {@code libcublas.so.12}, and the folder {@code
 * kernels}. A process that has the first in LD_LIBRARY_PATH and the second as STANDIN_KERNELS runs
 * on it.
 */
public final class StandIn {
  private static final String RESOURCES = "/dev/quench/cuda/kernels/";
  private static final List<String> LIBRARIES = List.of("libcuda.so.1", "libcublas.so.12");

  private final Path folder;
  private final BuildOptions options;

  private StandIn(Path folder, BuildOptions options) {
    this.folder = folder.toAbsolutePath();
    this.options = options;
  }

  /**
   * {@code StandIn FOLDER [--sanitize=KIND] [--profile] [--removable]}: builds, and prints the
   * environment to run with, then the barriers of each file.
   */
  public static void main(String[] arguments) throws IOException {
    if (arguments.length == 0) {
      throw new IllegalArgumentException("which folder?");
    }
    List<String> rest = Arrays.asList(arguments).subList(1, arguments.length);
    StandIn standIn = new StandIn(Path.of(arguments[0]), BuildOptions.parse(rest));
    Optional<String> missing = missingPrograms();
    if (missing.isPresent()) {
      throw new IOException(missing.get());
    }
    Map<String, Translation> translations = standIn.build();
    System.out.println("LD_LIBRARY_PATH=" + standIn.folder);
    System.out.println("STANDIN_KERNELS=" + standIn.kernels());
    translations.forEach(
        (file, translation) -> {
          for (int i = 0; i < translation.barriers().size(); i++) {
            System.out.println(file + ":" + i + " " + translation.barriers().get(i));
          }
          translation.untranslated().forEach(form -> System.out.println("untranslated: " + form));
        });
  }

  /**
   * Builds into a folder, for programs that run in processes of their own.
   *
   * @return the environment to start them with
   */
  public static Map<String, String> environment(Path folder) throws IOException {
    StandIn standIn = new StandIn(folder, BuildOptions.plain());
    standIn.build();
    return Map.of(
        "LD_LIBRARY_PATH", standIn.folder.toString(),
        "STANDIN_KERNELS", standIn.kernels().toString());
  }

  private sealed interface Outcome {}

  private record Ready() implements Outcome {}

  private record Missing(String reason) implements Outcome {}

  private record Failed(IOException cause) implements Outcome {}

  /** Built once a process, before the first test that needs a device. */
  private static final class Once {
    static final Outcome OUTCOME = prepareOnce();

    private Once() {}
  }

  /**
   * Makes this process run on the stand-in if LD_LIBRARY_PATH begins with a folder named {@code
   * standin}: builds it there, with the options in STANDIN_BUILD.
   *
   * @return why there is none; empty if it is there, or isn't asked for
   * @throws UncheckedIOException if it can't be built
   */
  public static Optional<String> prepare() {
    return switch (Once.OUTCOME) {
      case Ready ready -> Optional.empty();
      case Missing(String reason) -> Optional.of(reason);
      case Failed(IOException cause) -> throw new UncheckedIOException(cause);
    };
  }

  /** The options in STANDIN_BUILD, written as those of {@link #main} are. */
  static BuildOptions options() {
    String options = System.getenv().getOrDefault("STANDIN_BUILD", "").strip();
    return options.isEmpty()
        ? BuildOptions.plain()
        : BuildOptions.parse(List.of(options.split("\\s+")));
  }

  /** The folder in LD_LIBRARY_PATH; empty if this process isn't meant to run on the stand-in. */
  static Optional<Path> requested() {
    String first = System.getenv().getOrDefault("LD_LIBRARY_PATH", "").split(File.pathSeparator)[0];
    return first.endsWith("standin") ? Optional.of(Path.of(first)) : Optional.empty();
  }

  private static Outcome prepareOnce() {
    Optional<Path> folder = requested();
    if (folder.isEmpty()) {
      return new Ready();
    }
    Optional<String> missing = missingPrograms();
    if (missing.isPresent()) {
      return new Missing(missing.get());
    }
    try {
      StandIn standIn = new StandIn(folder.get(), options());
      standIn.build();
      standIn.load();
      configure("KERNELS", standIn.kernels().toString());
      return new Ready();
    } catch (IOException e) {
      return new Failed(e);
    }
  }

  /**
   * Loads the libraries by their paths; whoever asks for them by name gets these. The loader
   * forgets folders of LD_LIBRARY_PATH that don't exist when a process starts.
   */
  @SuppressWarnings("restricted") // the stand-in's libraries are ours
  private void load() {
    LIBRARIES.forEach(name -> SymbolLookup.libraryLookup(folder.resolve(name), Arena.global()));
  }

  /** Replaces a setting of the stand-in, such as STANDIN_STREAMS by {@code "STREAMS"}. */
  @SuppressWarnings("restricted") // the stand-in's library is ours
  public static void configure(String name, String value) {
    SymbolLookup driver = SymbolLookup.libraryLookup(LIBRARIES.getFirst(), Arena.global());
    try (Arena arena = Arena.ofConfined()) {
      Linker.nativeLinker()
          .downcallHandle(
              driver.findOrThrow("standinConfigure"),
              FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.ADDRESS))
          .invokeExact(arena.allocateFrom(name), arena.allocateFrom(value));
    } catch (Throwable e) { // what a method handle declares
      throw new IllegalStateException("standinConfigure", e);
    }
  }

  /** What of this machine can't build it; empty if it can. */
  public static Optional<String> missingPrograms() {
    for (String program : List.of("g++", "cmake")) {
      if (Programs.find(program).isEmpty()) {
        return Optional.of("no CUDA stand-in: PATH has no " + program);
      }
    }
    if (StandIn.class.getResource(RESOURCES + "manifest.json") == null) {
      return Optional.of("no CUDA stand-in: the kernels weren't compiled");
    }
    return Optional.empty();
  }

  Path kernels() {
    return folder.resolve("kernels");
  }

  /** The folder {@code native/standin} of the repository that this process runs in. */
  static Path sources() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path sources = at.resolve("native/standin");
      if (Files.exists(sources.resolve("simt.h"))) {
        return sources;
      }
    }
    throw new IllegalStateException("not in the repository: native/standin isn't found");
  }

  static KernelLibrary library(Path folder, BuildOptions options) {
    Path compiler = Programs.find("g++").orElseThrow();
    return new KernelLibrary(folder, sources(), compiler, options);
  }

  private Map<String, Translation> build() throws IOException {
    Files.createDirectories(folder);
    try (FileChannel channel =
            FileChannel.open(
                folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        var lock = channel.lock()) {
      buildDriver();
      return buildKernels();
    }
  }

  private void buildDriver() throws IOException {
    Path build = folder.resolve("cmake");
    Path log = folder.resolve("cmake.log");
    Programs.run(
        log,
        List.of(
            "cmake",
            "-S",
            sources().toString(),
            "-B",
            build.toString(),
            "-DCMAKE_BUILD_TYPE=Release",
            "-DSTANDIN_TESTS=OFF",
            "-DSTANDIN_SANITIZE=" + options.sanitizer()));
    Programs.run(log, List.of("cmake", "--build", build.toString(), "--parallel", "2"));
    for (String library : LIBRARIES) {
      replace(build.resolve("lib").resolve(library), folder.resolve(library));
    }
  }

  /** Replaces a file that a process may have loaded: its old content stays with that process. */
  private static void replace(Path source, Path target) throws IOException {
    if (Files.exists(target) && Files.mismatch(source, target) < 0) {
      return;
    }
    Path partial = target.resolveSibling(target.getFileName() + ".partial");
    Files.copy(source, partial, StandardCopyOption.REPLACE_EXISTING);
    Files.move(partial, target, StandardCopyOption.REPLACE_EXISTING);
  }

  private Map<String, Translation> buildKernels() throws IOException {
    KernelLibrary library = library(kernels(), options);
    Map<String, Future<Translation>> pending = new LinkedHashMap<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(2)) {
      for (String file : files()) {
        pending.put(file, pool.submit(() -> library.compile(file, ptx(file))));
      }
    }
    Map<String, Translation> translations = new LinkedHashMap<>();
    for (var entry : pending.entrySet()) {
      translations.put(entry.getKey(), get(entry.getKey(), entry.getValue()));
    }
    return translations;
  }

  private static Translation get(String file, Future<Translation> future) throws IOException {
    try {
      return future.get();
    } catch (ExecutionException e) {
      throw new IOException(file + ": " + e.getCause(), e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /** The PTX files in the class path, as their manifest lists them. */
  static List<String> files() throws IOException {
    List<String> files = new ArrayList<>();
    JsonNode manifest = JsonMapper.shared().readTree(resource("manifest.json"));
    manifest.path("images").forEach(image -> files.add(image.path("file").asString()));
    return files;
  }

  static String ptx(String file) throws IOException {
    return resource(file);
  }

  private static String resource(String name) throws IOException {
    try (InputStream stream = StandIn.class.getResourceAsStream(RESOURCES + name)) {
      if (stream == null) {
        throw new IOException("the class path lacks " + RESOURCES + name);
      }
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
