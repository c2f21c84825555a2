package dev.quench.device;

import dev.quench.QuenchException;
import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;

/**
 * Shared libraries that travel inside a jar, unpacked once a machine into the cache folder.
 *
 * <p>The folder's name holds the checksums of its files, as the jar's directory states them:
 * another version of the jar gets another folder, and neither jar nor library is read to find out
 * that nothing has to be done. A file appears under its name only when it is complete, so that
 * several JVMs may unpack at the same time.
 */
final class BundledLibrary {
  /** Overrides the folder for unpacked libraries, as does the environment's QUENCH_CACHE. */
  static final String CACHE_PROPERTY = "quench.cache";

  private BundledLibrary() {}

  /**
   * Makes resources of one folder available as files of one folder.
   *
   * @param name what to call them in the cache and to people
   * @param resources folder on the class path, without a slash at the end
   * @return the folder that holds the files
   * @throws QuenchException if a resource is missing or the cache can't be written
   */
  static Path unpack(String name, String resources, List<String> files) {
    Map<String, URL> sources = new LinkedHashMap<>();
    for (String file : files) {
      sources.put(file, find(resources + "/" + file));
    }
    URL first = sources.values().iterator().next();
    try {
      return first.getProtocol().equals("file")
          ? Path.of(first.toURI()).resolveSibling("")
          : unpack(name, sources);
    } catch (IOException | URISyntaxException e) {
      throw new QuenchException(
          "can't unpack "
              + name
              + " to "
              + cacheFolder()
              + " ("
              + e
              + "); set QUENCH_CACHE to a folder that can be written",
          e);
    }
  }

  /** {@code quench.cache}, else QUENCH_CACHE, else quench below XDG_CACHE_HOME or ~/.cache. */
  static Path cacheFolder() {
    return Optional.ofNullable(System.getProperty(CACHE_PROPERTY))
        .or(() -> Optional.ofNullable(System.getenv("QUENCH_CACHE")))
        .filter(folder -> !folder.isBlank())
        .map(Path::of)
        .orElseGet(
            () ->
                Optional.ofNullable(System.getenv("XDG_CACHE_HOME"))
                    .filter(folder -> !folder.isBlank())
                    .map(Path::of)
                    .orElseGet(() -> Path.of(System.getProperty("user.home"), ".cache"))
                    .resolve("quench"));
  }

  private static URL find(String resource) {
    URL url = BundledLibrary.class.getClassLoader().getResource(resource);
    if (url == null) {
      throw new QuenchException("no " + resource + " on the class path");
    }
    return url;
  }

  private static Path unpack(String name, Map<String, URL> sources) throws IOException {
    StringBuilder key = new StringBuilder(name);
    for (URL source : sources.values()) {
      JarURLConnection jar = (JarURLConnection) source.openConnection();
      jar.setUseCaches(false);
      try (JarFile open = jar.getJarFile()) {
        JarEntry entry = open.getJarEntry(jar.getEntryName());
        key.append('-').append(HexFormat.of().toHexDigits((int) entry.getCrc()));
      }
    }
    Path folder = Files.createDirectories(cacheFolder().resolve(key.toString()));
    for (Map.Entry<String, URL> source : sources.entrySet()) {
      copyUnlessThere(source.getValue(), folder.resolve(source.getKey()));
    }
    return folder;
  }

  private static void copyUnlessThere(URL source, Path target) throws IOException {
    JarURLConnection jar = (JarURLConnection) source.openConnection();
    jar.setUseCaches(false);
    try (JarFile open = jar.getJarFile()) {
      JarEntry entry = open.getJarEntry(jar.getEntryName());
      if (Files.exists(target) && Files.size(target) == entry.getSize()) {
        return;
      }
      Path partial = Files.createTempFile(target.getParent(), target.getFileName().toString(), "");
      try (InputStream in = open.getInputStream(entry)) {
        Files.copy(in, partial, StandardCopyOption.REPLACE_EXISTING);
        Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(partial);
      }
    }
  }
}
