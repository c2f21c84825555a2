package dev.quench.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Objects;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

class PythonJsonTest {
  /** As llm-compressor wrote it. */
  @Test
  void printsAConfigurationByteForByte() throws IOException {
    try (InputStream stream =
        Objects.requireNonNull(getClass().getResourceAsStream("compressed-config.json"))) {
      String golden = new String(stream.readAllBytes(), StandardCharsets.UTF_8);
      assertThat(PythonJson.print(parse(golden))).isEqualTo(golden);
    }
  }

  /** The right column is what CPython 3 prints. */
  @ParameterizedTest
  @CsvSource({
    "0.0, 0.0",
    "-0.0, -0.0",
    "1.0, 1.0",
    "1.00, 1.0",
    "0.02, 0.02",
    "0.00001, 1e-05",
    "1e-5, 1e-05",
    "1E-06, 1e-06",
    "1.5625e-07, 1.5625e-07",
    "9.999999747378752e-06, 9.999999747378752e-06",
    "1e-4, 0.0001",
    "0.00012345, 0.00012345",
    "9.9999e-5, 9.9999e-05",
    "1e-3, 0.001",
    "5e5, 500000.0",
    "1234567.0, 1234567.0",
    "10000000.0, 10000000.0",
    "12345678.9, 12345678.9",
    "1e15, 1000000000000000.0",
    "123456789012345.6, 123456789012345.6",
    "9999999999999998.0, 9999999999999998.0",
    "1e16, 1e+16",
    "1.2345678901234567e17, 1.2345678901234566e+17",
    "1e22, 1e+22",
    "1e23, 1e+23",
    "3.4028234663852886e38, 3.4028234663852886e+38",
    "1e100, 1e+100",
    "-1.5e-7, -1.5e-07",
    "2e-308, 2e-308",
    "2.2250738585072014e-308, 2.2250738585072014e-308",
    "1.7976931348623157e308, 1.7976931348623157e+308",
    "0.1, 0.1",
    "0.33333333333333331, 0.3333333333333333",
    "Infinity, Infinity",
    "-Infinity, -Infinity",
    "NaN, NaN",
    "1e400, Infinity",
    "0, 0",
    "-123456789012345678901234567890, -123456789012345678901234567890"
  })
  void printsNumbersAsPython(String source, String printed) {
    assertThat(PythonJson.print(parse("{\"x\": " + source + "}")))
        .isEqualTo("{\n  \"x\": " + printed + "\n}");
  }

  @Test
  void sortsKeysByCodePointAndEscapesAllButAscii() {
    String source =
        """
        {"z": [0.0, -0.0], "\uFFEE": 1, "\uD83D\uDE00": 2, "a": {}, "b": [], "A": [[1], {"x": false}],
         "c": {"q": null, "p": true, "\u00E9": "\u00FC\u007F\\"\\\\\\n\\t\\r\\b\\f\\u0001 \u2028 </"}}
        """;

    assertThat(PythonJson.print(parse(source)))
        .isEqualTo(
            """
            {
              "A": [
                [
                  1
                ],
                {
                  "x": false
                }
              ],
              "a": {},
              "b": [],
              "c": {
                "p": true,
                "q": null,
                "\\u00e9": "\\u00fc\\u007f\\"\\\\\\n\\t\\r\\b\\f\\u0001 \\u2028 </"
              },
              "z": [
                0.0,
                -0.0
              ],
              "\\uffee": 1,
              "\\ud83d\\ude00": 2
            }""");
  }

  /** Some locales have digits of their own. */
  @Test
  void doesNotDependOnTheLocale() {
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
    try {
      assertThat(PythonJson.print(parse("{\"x\": 1e-5}"))).isEqualTo("{\n  \"x\": 1e-05\n}");
    } finally {
      Locale.setDefault(before);
    }
  }

  @Property(tries = 500, seed = "1")
  void whatIsPrintedReadsBackAsTheSame(@ForAll String text, @ForAll double number) {
    ObjectNode node = Json.MAPPER.createObjectNode();
    node.put(text, text);
    node.putArray("number " + text).add(number);

    ObjectNode back = parse(PythonJson.print(node));

    assertThat(back.path(text).asString()).isEqualTo(text);
    assertThat(back.path("number " + text).path(0).asDouble()).isEqualTo(number);
  }

  private static ObjectNode parse(String text) {
    return Json.parseObject(text.getBytes(StandardCharsets.UTF_8), "test");
  }
}
