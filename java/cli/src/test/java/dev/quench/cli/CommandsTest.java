package dev.quench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Every command on a sound model. */
class CommandsTest {
  private static final JsonMapper JSON = new JsonMapper();

  @TempDir private static Path temp;
  private static Path model = Path.of("");
  private static Path rows = Path.of("");
  private static Path rounded = Path.of("");

  @BeforeAll
  static void compress() throws IOException {
    model = new TinyModel(2).write(temp.resolve("model"));
    Files.writeString(model.resolve("generation_config.json"), "{\"eos_token_id\": 2}");
    rows = TinyModel.writeRows(temp.resolve("rows.jsonl"), 8, 32);
    rounded = temp.resolve("rounded");
    Quench.Result result =
        Quench.run("compress", model, "--scheme", "W4A16", "-o", rounded).succeeded();
    assertThat(result.out()).contains("14 modules").contains("written to " + rounded);
  }

  @Test
  void roundedCheckpoint() {
    Map<String, String> tensors = tensors(rounded);
    assertThat(tensors.get("model.layers.1.mlp.down_proj.weight_packed"))
        .startsWith("I32 [128,32]");
    assertThat(tensors.get("model.layers.1.mlp.down_proj.weight_scale")).startsWith("BF16 [128,2]");
    assertThat(tensors.get("model.norm.weight")).isEqualTo(tensors(model).get("model.norm.weight"));
    assertThat(Folders.sha256(rounded))
        .containsEntry(
            "generation_config.json", Folders.sha256(model).get("generation_config.json"))
        .containsKey("config.json");
  }

  @Test
  void aFormatCanBeForced() {
    Path packed = temp.resolve("packed");
    Quench.run("compress", model, "--scheme", "W4A8", "--format", "pack-quantized", "-o", packed)
        .succeeded();
    assertThat(tensors(packed).get("model.layers.1.mlp.down_proj.weight_packed"))
        .isEqualTo(tensors(rounded).get("model.layers.1.mlp.down_proj.weight_packed"));
    Quench.runShort(
            "compress",
            model,
            "--scheme",
            "W4A8",
            "--format",
            "float-quantized",
            "-o",
            temp.resolve("no"))
        .failed(2, "format float-quantized can't hold these weights; legal are pack-quantized");
    Quench.runShort(
            "compress", model, "--scheme", "W4A8", "--format", "packed", "-o", temp.resolve("no"))
        .failed(2, "--format \"packed\" doesn't exist.", "Legal are dense, pack-quantized,");
  }

  @Test
  void aCompressedModelIsConvertedAndCompressedAgain() {
    Path plain = temp.resolve("plain");
    Path again = temp.resolve("again");
    Path converted = temp.resolve("converted");
    Quench.Result result = Quench.run("convert", rounded, "-o", plain).succeeded();

    assertThat(result.out()).contains("14 weights dequantized from compressed-tensors");
    assertThat(tensors(plain).keySet()).isEqualTo(tensors(model).keySet());
    assertThat(Quench.run("inspect", plain).succeeded().out()).contains("not compressed");
    assertThat(Folders.sha256(plain)).containsKey("generation_config.json");
    Quench.run("compress", rounded, "--dequantize", "--scheme", "FP8_DYNAMIC", "-o", again)
        .succeeded();
    Quench.run("compress", plain, "--scheme", "FP8_DYNAMIC", "-o", converted).succeeded();
    assertThat(tensors(again)).isEqualTo(tensors(converted));
    Quench.runShort("compress", rounded, "--scheme", "W4A16", "-o", temp.resolve("no"))
        .failed(2, "is compressed already (compressed-tensors)", "--dequantize");
    Quench.runShort("convert", model, "-o", temp.resolve("no"))
        .failed(2, "isn't quantized: there is nothing to convert");
  }

  @Test
  void recipesListsPresetsAndExamples() {
    String list = Quench.run("recipes").succeeded().out();
    assertThat(list)
        .contains("W4A16_ASYM")
        .containsPattern("MXFP8 +fp8 group 32 +fp8 group 32 +mxfp8-quantized")
        .contains("mixed-nvfp4a16-fp8");
    assertThat(Quench.run("recipes", "fp8-block").succeeded().out()).contains("scheme: FP8_BLOCK");
    Quench.runShort("recipes", "fp8-blok").failed(2, "Did you mean fp8-block");
  }

  @Test
  void shardsHoldTheSameTensors() throws IOException {
    Path sharded = temp.resolve("sharded");
    Path source = new TinyModel(2).writeSharded(temp.resolve("source"), 3);
    Quench.run("compress", source, "--scheme", "W4A16", "--max-shard-size", "100KB", "-o", sharded)
        .succeeded();
    assertThat(
            Folders.sha256(sharded).keySet().stream().filter(name -> name.endsWith(".safetensors")))
        .hasSizeGreaterThan(1);
    assertThat(tensors(sharded)).isEqualTo(tensors(rounded));
    assertThat(Quench.run("verify", sharded).succeeded().out()).contains("is sound");
  }

  @Test
  void jsonOfGptq() {
    Path output = temp.resolve("gptq");
    Quench.Result result =
        Quench.run(
                "compress",
                model,
                "--scheme",
                "W4A16",
                "--method",
                "gptq",
                "--calibration",
                rows,
                "--json",
                "-o",
                output)
            .succeeded();
    List<String> events =
        result.errorLines().stream()
            .filter(line -> !line.startsWith("WARNING: Using incubator modules"))
            .map(line -> JSON.readTree(line).path("event").asString())
            .toList();
    assertThat(events).contains("started", "layer_started", "module_done", "layer_done");
    JsonNode summary = JSON.readTree(result.out());
    assertThat(summary.path("losses").size()).isEqualTo(14);
    assertThat(summary.path("output").asString()).isEqualTo(output.toString());
    assertThat(tensors(output).keySet()).isEqualTo(tensors(rounded).keySet());
  }

  /** Also what is found of activations is used, checked and shown. */
  @Test
  void activationsAreCalibrated() {
    Path output = temp.resolve("fp8");
    Path recipe = Path.of("../../examples/recipes/fp8-kv-cache.yaml");
    Quench.run("compress", model, "--recipe", recipe, "--calibration", rows, "-o", output)
        .succeeded();

    assertThat(tensors(output).keySet())
        .contains("model.layers.0.mlp.down_proj.input_scale", "model.layers.1.self_attn.k_scale");
    assertThat(perplexity(output)).isGreaterThan(1).isNotEqualTo(perplexity(model));
    Quench.run("verify", output).succeeded();
    assertThat(
            Quench.run(
                    "compress",
                    model,
                    "--recipe",
                    recipe,
                    "--calibration",
                    rows,
                    "--dry-run",
                    "-o",
                    temp.resolve("dry-fp8"))
                .succeeded()
                .out())
        .contains(
            "14 × QuantizationModifier fp8 tensor, input fp8 tensor", "2 × KV cache fp8 tensor");
  }

  @Test
  void dryRunMakesNothing() {
    Path output = temp.resolve("dry");
    Quench.Result result =
        Quench.run(
                "compress",
                model,
                "--scheme",
                "W4A16",
                "--method",
                "gptq",
                "--calibration",
                rows,
                "--dry-run",
                "-o",
                output)
            .succeeded();
    assertThat(result.out())
        .contains("2 layers", "14 × ", "input", "output", "memory", "disk", "time");
    Folders.assertNothingLeft(output);
  }

  @Test
  void evaluateKnowsTheModelFromTheCompressedOne() {
    assertThat(perplexity(model)).isGreaterThan(1).isNotEqualTo(perplexity(rounded));
  }

  private static double perplexity(Path folder) {
    Quench.Result result =
        Quench.run("evaluate", folder, "--text", rows, "--sequence-length", "32", "--json")
            .succeeded();
    JsonNode line = JSON.readTree(result.out());
    assertThat(line.path("predicted_tokens").asInt()).isEqualTo(8 * 31);
    return line.path("perplexity").asDouble();
  }

  @Test
  void compareFindsTheErrorAndHoldsTheGate() {
    Object[] args = {"compare", model, rounded, "--calibration", rows};
    Quench.Result result = Quench.run(args).succeeded();
    assertThat(result.out()).containsPattern("logits: relative error 0\\.[0-9]*[1-9]");
    assertThat(Quench.run(Quench.with(args, "--max-logits-error", "0")).code()).isEqualTo(3);
  }

  @Test
  void inspect() {
    JsonNode inspection = JSON.readTree(Quench.run("inspect", rounded, "--json").succeeded().out());
    assertThat(inspection.toString()).contains("4");
    assertThat(Quench.run("inspect", rounded, "--all").succeeded().out())
        .contains("model.layers.1.mlp.down_proj");
  }

  @Test
  void verifyFindsWhatIsBroken() throws IOException {
    assertThat(Quench.run("verify", rounded).succeeded().out()).contains("is sound");
    Path damaged = temp.resolve("damaged");
    Files.createDirectories(damaged);
    for (String file : Folders.sha256(rounded).keySet()) {
      Files.copy(rounded.resolve(file), damaged.resolve(file));
    }
    Path weights = damaged.resolve("model.safetensors");
    String text = new String(Files.readAllBytes(weights), StandardCharsets.ISO_8859_1);
    Files.write(
        weights,
        text.replace("0.self_attn.q_proj.weight_scale", "0.self_attn.x_proj.weight_scale")
            .getBytes(StandardCharsets.ISO_8859_1));
    Quench.Result result = Quench.runShort("verify", damaged);
    assertThat(result.code()).isEqualTo(2);
    assertThat(result.out()).contains("problem: ", "model.layers.0.self_attn.q_proj.weight_scale");
  }

  @Test
  void doctor() {
    assertThat(Quench.run("doctor").succeeded().out()).contains("25");
  }

  /** Dtype, shape and bytes of all tensors of a checkpoint, by name. */
  private static Map<String, String> tensors(Path folder) {
    Map<String, String> tensors = new TreeMap<>();
    for (String file : Folders.sha256(folder).keySet()) {
      if (file.endsWith(".safetensors")) {
        tensors.putAll(tensorsOf(folder.resolve(file)));
      }
    }
    return tensors;
  }

  private static Map<String, String> tensorsOf(Path file) {
    Map<String, String> tensors = new TreeMap<>();
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    int header = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    JsonNode json = JSON.readTree(new String(bytes, 8, header, StandardCharsets.UTF_8));
    Stream<Map.Entry<String, JsonNode>> entries = json.properties().stream();
    entries
        .filter(entry -> !entry.getKey().equals("__metadata__"))
        .forEach(
            entry -> {
              JsonNode offsets = entry.getValue().path("data_offsets");
              int begin = 8 + header + offsets.get(0).asInt();
              String data =
                  new String(
                      bytes,
                      begin,
                      8 + header + offsets.get(1).asInt() - begin,
                      StandardCharsets.ISO_8859_1);
              tensors.put(
                  entry.getKey(),
                  "%s %s %s"
                      .formatted(
                          entry.getValue().path("dtype").asString(),
                          entry.getValue().path("shape"),
                          data));
            });
    return tensors;
  }
}
