package dev.quench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** NaN and infinity in weights end a run that would have made nonsense of them. */
class NonFiniteWeightsTest {
  private static final int ROW = 2;
  private static final int COLUMN = 5;

  @TempDir private Path temp;

  private void fails(TinyModel model, int code, String[] options, String... parts)
      throws IOException {
    Path folder = model.write(temp.resolve("model"));
    Path data = TinyModel.writeRows(temp.resolve("rows.jsonl"), 2, 8);
    Path output = temp.resolve("out");
    Map<String, String> before = Folders.sha256(folder);
    Object[] args =
        Quench.with(new Object[] {"compress", folder, "-o", output}, (Object[]) options);
    if (List.of(options).contains("gptq")) {
      args = Quench.with(args, "--calibration", data);
    }
    Quench.runShort(args).failed(code, parts);
    Folders.assertNothingLeft(output);
    assertThat(Folders.sha256(folder)).isEqualTo(before);
  }

  @ParameterizedTest
  @CsvSource({
    "rtn, W4A16, NaN",
    "rtn, W4A16_ASYM, Infinity",
    "rtn, FP8_DYNAMIC, -Infinity",
    "gptq, W4A16, NaN",
  })
  void inALinear(String method, String scheme, String value) throws IOException {
    TinyModel model =
        new TinyModel(1)
            .set(
                "model.layers.0.mlp.up_proj.weight",
                ROW * TinyModel.HIDDEN + COLUMN,
                Float.parseFloat(value));
    fails(
        model,
        2,
        new String[] {"--scheme", scheme, "--method", method},
        "model.layers.0.mlp.up_proj.weight holds " + value + " at row 2, column 5",
        "ignore list");
  }

  /** The norm isn't compressed, so it is the calibration that can't go on. */
  @Test
  void inANorm() throws IOException {
    fails(
        new TinyModel(1).set("model.layers.0.post_attention_layernorm.weight", 7, Float.NaN),
        1,
        new String[] {"--scheme", "W4A16", "--method", "gptq"},
        "model.layers.0.mlp.gate_proj",
        "NaN or infinite values");
  }
}
