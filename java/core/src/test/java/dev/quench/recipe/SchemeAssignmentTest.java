package dev.quench.recipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.ActOrder;
import dev.quench.quantization.QuantizationScheme;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SchemeAssignmentTest {
  private static final String Q_PROJ = "model.layers.0.self_attn.q_proj";
  private static final String UP_PROJ = "model.layers.0.mlp.up_proj";

  @Test
  void laterModifiersTakeOverOnlyWhatTheySelect() {
    SchemeAssignment assignment =
        assign(
            """
            - QuantizationModifier: {scheme: W8A8, ignore: [lm_head]}
            - GPTQModifier: {scheme: W4A16, targets: ['re:.*mlp'], ignore: ['re:.*1.mlp']}
            """);

    assertThat(assignment.assigned()).hasSize(14);
    assertThat(assignment.assigned().keySet())
        .containsExactlyElementsOf(
            TinyLlama.MODULES.stream()
                .map(NamedModule::name)
                .filter(assignment.assigned()::containsKey)
                .toList());
    assertThat(bits(assignment, Q_PROJ)).isEqualTo(8);
    assertThat(bits(assignment, UP_PROJ)).isEqualTo(4);
    assertThat(bits(assignment, "model.layers.1.mlp.up_proj")).isEqualTo(8);
    assertThat(assignment.of(UP_PROJ).orElseThrow().modifier()).isInstanceOf(GptqSpec.class);
    assertThat(assignment.of(Q_PROJ).orElseThrow().modifier()).isInstanceOf(QuantizationSpec.class);
    assertThat(assignment.of("lm_head")).isEmpty();
    assertThat(assignment.of("model.layers.0.self_attn")).isEmpty();
  }

  @Test
  void gptqWithoutASchemeSolvesInTheSchemesOfAnEarlierModifier() {
    SchemeAssignment assignment =
        assign(
            """
            - QuantizationModifier: {scheme: W4A16, targets: ['re:.*mlp', 're:.*q_proj']}
            - GPTQModifier: {ignore: [lm_head, 're:.*q_proj']}
            """);

    assertThat(assignment.assigned()).hasSize(8);
    SchemeAssignment.Assigned up = assignment.of(UP_PROJ).orElseThrow();
    assertThat(up.modifier()).isInstanceOf(GptqSpec.class);
    assertThat(up.scheme().weights().flatMap(QuantizationArgs::actOrder)).isEmpty();
    assertThat(assignment.of(Q_PROJ).orElseThrow().modifier()).isInstanceOf(QuantizationSpec.class);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          targets: [Liner]                                   | target "Liner" matches no module of the model. Did you mean Linear
          targets: [Linear, model.layers.0.mlp.upproj]       | target "model.layers.0.mlp.upproj" matches no module of the model. Did you mean model.layers.0.mlp.up_proj
          targets: ['re:.*qproj$']                           | target "re:.*qproj$" matches no module of the model. There are modules such as model.layers.0.self_attn.q_proj
          targets: ['re:self_attn']                          | target "re:self_attn" matches no module of the model. There are modules such as model.layers.0.self_attn
          ignore: [lm_heads]                                 | ignore entry "lm_heads" matches no module of the model. Did you mean lm_head
          ignore: ['re:.*mlp.gate$']                         | ignore entry "re:.*mlp.gate$" matches no module of the model.
          targets: [LlamaMLP]                                | target "LlamaMLP" selects modules of class LlamaMLP only, and only Linear, Embedding and attention can be quantized
          targets: [lm_head], ignore: [lm_head]              | selects no module: its ignore list takes all
          targets: ['re:(']                                  | "re:(" isn't a regular expression
          """)
  void everyEntryMatchesSomething(String fields, String message) {
    assertThatThrownBy(
            () -> assign("\nQuantizationModifier: {scheme: W4A16, %s}".formatted(fields)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("recipe.yaml, line 2: QuantizationModifier")
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          targets: ['re:.*'], ignore: [Embedding] | 15
          targets: ['re:.*']                      | 16
          targets: [Embedding]                    | 1
          targets: [model.embed_tokens, lm_head]  | 2
          """)
  void embeddingsCanBeSelectedByClassNameAndPattern(String fields, int modules) {
    assertThat(assign("QuantizationModifier: {scheme: W4A16, %s}".formatted(fields)).assigned())
        .hasSize(modules);
  }

  @Test
  void gptqWithoutASchemeNeedsAnEarlierModifier() {
    assertThatThrownBy(() -> assign("GPTQModifier: {ignore: [lm_head]}"))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("has no scheme of its own");
  }

  @ParameterizedTest
  @CsvSource({"RTN, W8A16", "GPTQ, w4a16", "GPTQ, FP8_BLOCK"})
  void aSchemeByNameIsAllLinearsAndItsSourceSaysTheSame(Recipe.Method method, String scheme) {
    Recipe recipe = Recipe.of(scheme, method, List.of("lm_head", "re:.*\\.up_proj$"));

    Recipe parsed = RecipeReader.parse(recipe.source(), "recipe.yaml");

    assertThat(recipe.modifiers()).hasSize(1);
    assertThat(parsed.modifiers())
        .usingRecursiveComparison()
        .ignoringFields("origin")
        .isEqualTo(recipe.modifiers());
    assertThat(SchemeAssignment.assign(recipe, TinyLlama.MODULES).assigned()).hasSize(12);
    assertThat(
            recipe
                .modifiers()
                .getFirst()
                .quantization()
                .groups()
                .values()
                .iterator()
                .next()
                .weights()
                .flatMap(QuantizationArgs::actOrder))
        .isEqualTo(method == Recipe.Method.GPTQ ? Optional.of(ActOrder.STATIC) : Optional.empty());
  }

  @Test
  void aSchemeByNameMustExistAndBeExecutable() {
    assertThatThrownBy(() -> Recipe.of("W4A61", Recipe.Method.RTN, List.of()))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("--scheme W4A61: there is no scheme \"W4A61\". Did you mean W4A16");
    assertThatThrownBy(() -> Recipe.of("NVFP4", Recipe.Method.GPTQ, List.of()))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("--scheme NVFP4")
        .hasMessageContaining("not supported yet");
  }

  private static SchemeAssignment assign(String recipe) {
    return SchemeAssignment.assign(RecipeReader.parse(recipe, "recipe.yaml"), TinyLlama.MODULES);
  }

  private static int bits(SchemeAssignment assignment, String module) {
    return assignment
        .of(module)
        .map(SchemeAssignment.Assigned::scheme)
        .flatMap(QuantizationScheme::weights)
        .orElseThrow()
        .numBits();
  }
}
