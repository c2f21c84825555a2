package dev.quench.cuda.standin;

import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/**
 * A source file that somebody else has published, at a fixed commit. It is looked for in the folder
 * QUENCH_PUBLISHED_KERNELS, then fetched; a test that can't have it is skipped.
 *
 * @param sha256 of the file
 * @param end text at which it is cut off, but for an {@code #endif}; empty to have it whole
 */
record Published(String url, String sha256, String end) {
  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private String name() {
    return url.substring(url.lastIndexOf('/') + 1);
  }

  /** Puts the file into a folder. */
  void into(Path folder) throws IOException {
    byte[] bytes = given().isPresent() ? Files.readAllBytes(given().get()) : fetch();
    if (!hash(bytes).equals(sha256)) {
      throw new IOException(
          name() + " is not the file that was tried: its SHA-256 is " + hash(bytes));
    }
    String text = new String(bytes, StandardCharsets.UTF_8);
    if (!end.isEmpty()) {
      text = text.substring(0, text.indexOf(end)) + "#endif\n";
    }
    Files.writeString(folder.resolve(name()), text);
  }

  private Optional<Path> given() {
    return Optional.ofNullable(System.getenv("QUENCH_PUBLISHED_KERNELS"))
        .map(folder -> Path.of(folder, name()))
        .filter(Files::exists);
  }

  private byte[] fetch() throws IOException {
    try (HttpClient client = HttpClient.newBuilder().connectTimeout(PATIENCE).build()) {
      HttpRequest request = HttpRequest.newBuilder(URI.create(url)).timeout(PATIENCE).build();
      HttpResponse<byte[]> response = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
      if (response.statusCode() != 200) {
        throw new IOException(url + " answers " + response.statusCode());
      }
      return response.body();
    } catch (IOException e) {
      return abort("can't fetch " + url + ": " + e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  private static String hash(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  /** An nvcc as the build finds it; the test is skipped if there is none. */
  static Path nvcc() {
    String home = System.getenv().getOrDefault("CUDA_HOME", "/usr/local/cuda");
    String cache =
        System.getenv().getOrDefault("XDG_CACHE_HOME", System.getProperty("user.home") + "/.cache");
    List<Path> places =
        List.of(
            Path.of(home, "bin/nvcc"), Path.of(cache, "quench/nvcc-13.0.88/nvidia/cu13/bin/nvcc"));
    return Programs.find("nvcc")
        .or(() -> places.stream().filter(Files::isExecutable).findFirst())
        .orElseGet(() -> abort("there is no nvcc"));
  }
}
