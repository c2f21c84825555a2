package dev.quench.recipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationScheme;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.PatternSyntaxException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TargetMatcherTest {
  private static final NamedModule Q_PROJ = NamedModule.linear("model.layers.0.self_attn.q_proj");

  @ParameterizedTest
  @CsvSource({
    "re:.*q_proj, true",
    "re:.*self_attn, true",
    "re:model, true",
    "re:q_proj, false",
    "re:.*attn$, false",
    "Linear, true",
    "model.layers.0.self_attn.q_proj, true",
    "model.layers.0.self_attn, false",
    "q_proj, false",
    "linear, false",
    "LinearBase, false",
  })
  void aPatternIsAnchoredAtTheStartAndANameIsExact(String target, boolean selected) {
    assertThat(matcher(Map.of("W4A16", List.of(target)), List.of()).match(Q_PROJ).isPresent())
        .isEqualTo(selected);
  }

  @Test
  void ignoreWinsOverEveryKindOfTarget() {
    Map<String, List<String>> groups =
        Map.of("W4A16", List.of("Linear", Q_PROJ.name(), "re:.*q_proj"));

    for (String entry : List.of("Linear", Q_PROJ.name(), "re:.*attn")) {
      assertThat(matcher(groups, List.of(entry)).match(Q_PROJ)).as(entry).isEmpty();
    }
    assertThat(matcher(groups, List.of("re:.*k_proj")).match(Q_PROJ)).isPresent();
  }

  @Test
  void exactNamesGoBeforePatternsInAlphabeticalOrderBeforeClasses() {
    QuantizationScheme byClass = scheme("W8A8", "Linear");
    QuantizationScheme byLaterPattern = scheme("W7A16", "re:model.*");
    QuantizationScheme byPattern = scheme("W4A16", "re:.*q_proj");
    QuantizationScheme byName = scheme("W2A16", Q_PROJ.name());
    List<QuantizationScheme> best = List.of(byName, byPattern, byLaterPattern, byClass);

    for (int i = 0; i < best.size(); i++) {
      List<QuantizationScheme> groups = new ArrayList<>(best.subList(i, best.size()));
      assertThat(new TargetMatcher(groups, List.of(), "recipe").match(Q_PROJ))
          .contains(best.get(i));
      assertThat(new TargetMatcher(groups.reversed(), List.of(), "recipe").match(Q_PROJ))
          .as("whatever the order")
          .contains(best.get(i));
    }
  }

  @Test
  void ofTwoGroupsWithOneTargetTheLaterCounts() {
    QuantizationScheme first = scheme("W8A8", "Linear");
    QuantizationScheme second = scheme("W4A16", "Linear");

    assertThat(new TargetMatcher(List.of(first, second), List.of(), "recipe").match(Q_PROJ))
        .contains(second);
  }

  @Test
  void namesAPatternThatIsNone() {
    assertThatThrownBy(() -> matcher(Map.of("W4A16", List.of("re:.*(q|k")), List.of()))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("recipe.yaml, line 2")
        .hasMessageContaining("\"re:.*(q|k\"");
    assertThatThrownBy(() -> matcher(Map.of("W4A16", List.of("Linear")), List.of("re:*")))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("\"re:*\"");
  }

  /** Expected values are those of Python 3's {@code re.match}. */
  @ParameterizedTest
  @CsvSource(
      delimiter = ' ',
      quoteCharacter = '`',
      value = {
        "(?P<the_layer>\\d+)-(?P=the_layer) 12-12 true",
        "(?P<the_layer>\\d+)-(?P=the_layer)$ 12-13 false",
        "lm_head\\Z lm_head true",
        "lm_head\\Z lm_head2 false",
        "[[]x [x true",
        "[a&&b]+$ a&b true",
        "[]a]+$ a] true",
        "[^]a]$ ] false",
        "[a-c_.]+$ a_c.b true",
        "a{,2}$ aa true",
        "a{,2}$ aaa false",
        "a{2,}$ aaa true",
        "a{x} a{x} true",
        "a{} a{} true",
        "\\w+$ wört true",
        "(?i)LM lm true",
        "(?:a|b)(?!c) bd true",
        "(?<!x)a a true",
        "\\x41\\U00000042 AB true",
      })
  void patternsMeanWhatTheyMeanInPython(String regex, String text, boolean matches) {
    assertThat(PythonRegex.compile(regex).matcher(text).lookingAt()).isEqualTo(matches);
  }

  @ParameterizedTest
  @ValueSource(strings = {"\\Qx\\E", "\\h", "(?<name>a)", "(?P=none)", "[a", "a\\", "(a)(?(1)b|c)"})
  void refusesWhatPythonRefusesOrJavaLacks(String regex) {
    assertThatThrownBy(() -> PythonRegex.compile(regex)).isInstanceOf(PatternSyntaxException.class);
  }

  private static TargetMatcher matcher(Map<String, List<String>> groups, List<String> ignore) {
    return new TargetMatcher(
        groups.entrySet().stream()
            .map(group -> scheme(group.getKey(), group.getValue().toArray(String[]::new)))
            .toList(),
        ignore,
        "recipe.yaml, line 2");
  }

  private static QuantizationScheme scheme(String preset, String... targets) {
    Optional<QuantizationScheme> scheme = PresetSchemes.find(preset);
    return scheme.orElseThrow().withTargets(List.of(targets));
  }
}
