package dev.quench.cli;

import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The recipes of {@code examples/recipes}, which come along in the jar. */
final class ExampleRecipes {
  static final List<String> NAMES =
      List.of(
          "w4a16",
          "w4a16-asym-mse",
          "w4a16-imatrix",
          "w8a8",
          "w8a8-static-asym",
          "w4a8-packed",
          "w4afp8-packed",
          "fp8-dynamic",
          "fp8-block",
          "fp8-static",
          "fp8-kv-cache",
          "nvfp4a16",
          "nvfp4",
          "mxfp4",
          "mxfp8",
          "mixed-nvfp4a16-fp8",
          "embedding-w8a16",
          "moe-w4a16",
          "gptq-w4a16",
          "mixed-w8a8-w4a16");

  private ExampleRecipes() {}

  /**
   * The text of a recipe.
   *
   * @throws InvalidInputException if there is none of that name
   */
  static String text(String name) {
    if (!NAMES.contains(name)) {
      throw new InvalidInputException(
          "there is no example \"%s\".%s `quench recipes` lists them."
              .formatted(name, NearMatches.hint(name, NAMES)));
    }
    try (InputStream stream =
        ExampleRecipes.class.getResourceAsStream("recipes/" + name + ".yaml")) {
      if (stream == null) {
        throw new IllegalStateException("recipes/" + name + ".yaml is missing in the jar");
      }
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What a recipe's comment says, in one line. */
  static String summary(String name) {
    return text(name)
        .lines()
        .takeWhile(line -> line.startsWith("#"))
        .map(line -> line.substring(1).strip())
        .reduce((a, b) -> a + " " + b)
        .orElse("");
  }
}
