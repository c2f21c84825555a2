package dev.quench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.quantization.QuantizationScheme;
import dev.quench.recipe.ModifierSpec;
import dev.quench.recipe.Recipe;
import dev.quench.recipe.RecipeReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ExampleRecipesTest {
  private static final Path FOLDER = Path.of("../../examples/recipes");

  static List<String> names() {
    return ExampleRecipes.NAMES;
  }

  @Test
  void allFilesAreListed() throws IOException {
    try (Stream<Path> files = Files.list(FOLDER)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrderElementsOf(
              names().stream().map(name -> name + ".yaml").toList());
    }
  }

  @ParameterizedTest
  @MethodSource("names")
  void eachIsARecipeThatSaysWhatItDoes(String name) {
    Recipe recipe = RecipeReader.parse(ExampleRecipes.text(name), name + ".yaml");

    assertThat(recipe.modifiers().stream().map(ModifierSpec::quantization))
        .allSatisfy(quantization -> assertThat(quantization.groups()).isNotEmpty());
    assertThat(
            recipe.modifiers().stream()
                .flatMap(modifier -> modifier.quantization().groups().values().stream())
                .map(QuantizationScheme::weights))
        .allSatisfy(weights -> assertThat(weights).isPresent());
    assertThat(ExampleRecipes.summary(name)).hasSizeGreaterThan(40).endsWith(".");
  }
}
