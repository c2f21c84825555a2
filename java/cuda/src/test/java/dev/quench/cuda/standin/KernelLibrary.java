package dev.quench.cuda.standin;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;

/**
 * The shared libraries of translated kernels, in a folder: {@code HASH.so} for the PTX text of
 * which HASH begins the SHA-256. They are compiled anew only where something has changed.
 *
 * @param folder where the libraries are
 * @param headers {@code native/standin}
 * @param compiler g++
 */
record KernelLibrary(Path folder, Path headers, Path compiler, BuildOptions options) {
  private static final int HASH_DIGITS = 16;

  /**
   * Translates and compiles a PTX text.
   *
   * @param name under which STANDIN_REMOVE knows it
   * @return what the translation found
   * @throws IOException if the compiler fails
   */
  Translation compile(String name, String ptx) throws IOException {
    Translation translation = Translator.translate(name, ptx, options);
    String hash = hash(ptx.getBytes(StandardCharsets.UTF_8));
    Path library = folder.resolve(hash + ".so");
    Path keyFile = folder.resolve(hash + ".key");
    String key = key(translation);
    if (Files.exists(library) && Files.exists(keyFile) && Files.readString(keyFile).equals(key)) {
      return translation;
    }
    Files.createDirectories(folder);
    Path source = folder.resolve(hash + ".cpp");
    Path partial = folder.resolve(hash + ".partial.so");
    Files.writeString(source, translation.cpp());
    List<String> command = new ArrayList<>(List.of(compiler.toString()));
    command.addAll(options.compilerFlags());
    command.addAll(List.of("-I", headers.toString(), source.toString(), "-o", partial.toString()));
    Programs.run(folder.resolve(hash + ".log"), command);
    Files.move(partial, library, StandardCopyOption.REPLACE_EXISTING);
    Files.writeString(keyFile, key);
    return translation;
  }

  /** Changes with anything that the library is made of. */
  private String key(Translation translation) throws IOException {
    StringBuilder text = new StringBuilder(translation.cpp());
    text.append(options.compilerFlags());
    try (Stream<Path> files = Files.list(headers)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".h")).sorted().toList()) {
        text.append(Files.readString(file));
      }
    }
    return hash(text.toString().getBytes(StandardCharsets.UTF_8));
  }

  private static String hash(byte[] bytes) {
    try {
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(bytes);
      return HexFormat.of().formatHex(digest).substring(0, HASH_DIGITS);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
