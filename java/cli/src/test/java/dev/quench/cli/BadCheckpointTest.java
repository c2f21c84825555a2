package dev.quench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Models that are missing, damaged or hostile are refused, and nothing is written. */
class BadCheckpointTest {
  @TempDir private Path temp;

  private Path model() {
    return temp.resolve("model");
  }

  private void refused(String... parts) {
    Path output = temp.resolve("out");
    Map<String, String> before = Folders.sha256(model());
    Quench.runShort("compress", model(), "--scheme", "W8A16", "-o", output).failed(2, parts);
    Folders.assertNothingLeft(output);
    assertThat(Folders.sha256(model())).isEqualTo(before);
  }

  @Test
  void missingFolder() {
    refused(model().toString(), "doesn't exist", "give the folder");
  }

  @Test
  void missingConfig() throws IOException {
    Files.delete(new TinyModel(1).write(model()).resolve("config.json"));
    refused("config.json is missing");
  }

  @Test
  void missingWeights() throws IOException {
    Files.delete(new TinyModel(1).write(model()).resolve("model.safetensors"));
    refused("has neither model.safetensors nor model.safetensors.index.json");
  }

  @Test
  void truncated() throws IOException {
    Path weights = new TinyModel(1).write(model()).resolve("model.safetensors");
    try (RandomAccessFile file = new RandomAccessFile(weights.toFile(), "rw")) {
      file.setLength(file.length() - 1000);
    }
    refused("model.safetensors", "tensor lm_head.weight", "Download or copy it again");
  }

  static Stream<Arguments> lengths() {
    return Stream.of(
        Arguments.of(0L, "a header of 0 bytes"),
        Arguments.of(Long.MAX_VALUE, "a header of 9223372036854775807 bytes"),
        Arguments.of(-1L, "a header of 18446744073709551615 bytes"),
        Arguments.of(100_000_000L, "goes past the end of the file"),
        Arguments.of(100_000_001L, "safetensors allows 2 to 100000000"));
  }

  @ParameterizedTest
  @MethodSource("lengths")
  void headerLength(long length, String part) throws IOException {
    Path weights = new TinyModel(1).write(model()).resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(weights);
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
    Files.write(weights, bytes);
    refused("model.safetensors", part);
  }

  /** Legal length, but nothing in it: read within the memory of any machine. */
  @Test
  void hundredMegabytesOfHeader() throws IOException {
    Path weights = new TinyModel(1).write(model()).resolve("model.safetensors");
    try (RandomAccessFile file = new RandomAccessFile(weights.toFile(), "rw")) {
      file.setLength(0);
      file.write(
          ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(100_000_000L).array());
      file.write('{');
      file.setLength(8 + 100_000_000L);
    }
    refused("model.safetensors: its header isn't valid JSON");
  }

  static Stream<Arguments> headers() {
    String a = "\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}";
    return Stream.of(
        Arguments.of("{" + a.replace("16", "32") + "}", 16, "ends at byte 32"),
        Arguments.of(
            "{" + a + ",\"b\":" + a.substring(4).replace("[0,", "[8,").replace("16]", "24]") + "}",
            24,
            "tensor b: its data overlaps that of tensor a"),
        Arguments.of("{" + a.replace("[4]", "[5]") + "}", 16, "tensor a: F32 [5] takes 20 bytes"),
        Arguments.of("{" + a + "," + a + "}", 16, "uplicate"),
        Arguments.of("{" + a.replace("[0,16]", "[16,0]") + "}", 16, "end before they begin"),
        Arguments.of("{" + a.replace("[4]", "[-4]") + "}", 16, "non-negative integers"),
        Arguments.of("{" + a.replace("[4]", "[4294967296,4294967296]") + "}", 16, "tensor a"),
        Arguments.of("{" + a.replace("F32", "F31") + "}", 16, "unknown dtype \"F31\""),
        Arguments.of("{" + a + "}", 20, "4 bytes at its end belong to no tensor"),
        Arguments.of("[1]", 0, "must be a JSON object"));
  }

  @ParameterizedTest
  @MethodSource("headers")
  void header(String header, int dataBytes, String part) throws IOException {
    Path weights = new TinyModel(1).write(model()).resolve("model.safetensors");
    Files.write(weights, TinyModel.safetensors(header, new byte[dataBytes]));
    refused("model.safetensors", part);
  }

  @Test
  void missingShard() throws IOException {
    new TinyModel(1).writeSharded(model(), 3);
    Files.delete(model().resolve("model-00002-of-00003.safetensors"));
    refused(
        "model.safetensors.index.json",
        "model-00002-of-00003.safetensors, which isn't in",
        "download it too");
  }

  @Test
  void shardOutsideTheFolder() throws IOException {
    new TinyModel(1).writeSharded(model(), 1);
    Path index = model().resolve("model.safetensors.index.json");
    Files.writeString(index, Files.readString(index).replace("model-00001", "../model-00001"));
    refused("model.safetensors.index.json", "isn't a shard of this folder");
  }

  static Stream<Arguments> configs() {
    return Stream.of(
        Arguments.of(new TinyModel(1).without("hidden_size"), "\"hidden_size\" is missing"),
        Arguments.of(new TinyModel(1).without("model_type"), "\"model_type\" is missing"),
        Arguments.of(
            new TinyModel(1).config("num_hidden_layers", "two"), "num_hidden_layers: must be"),
        Arguments.of(
            new TinyModel(1).config("intermediate_size", 300),
            "model.layers.0.mlp.gate_proj.weight"),
        Arguments.of(
            new TinyModel(1).config("num_hidden_layers", 2),
            "has no tensor model.layers.1.self_attn.q_proj.weight"),
        Arguments.of(
            new TinyModel(1).config("quantization_config", Map.of("quant_method", "gptq")),
            "quant_method of quantization_config is gptq; Quench reads compressed-tensors, fp8"));
  }

  /** What needs no data is compressed by the names of tensors; the rest needs a forward pass. */
  @Test
  void unknownFamilyThatNeedsCalibration() throws IOException {
    new TinyModel(1).config("model_type", "gpt2").write(model());
    Quench.run(
            "compress", model(), "--scheme", "W4A16", "--method", "gptq", "-o", temp.resolve("out"))
        .failed(2, "model_type \"gpt2\" isn't supported");
  }

  @ParameterizedTest
  @MethodSource("configs")
  void config(TinyModel model, String part) throws IOException {
    model.write(model());
    refused(model().toString(), part);
  }

  /** Rounding needs no description of the family, but what runs the model does. */
  @Test
  void unknownFamily() throws IOException {
    Path rows = TinyModel.writeRows(temp.resolve("rows.jsonl"), 2, 8);
    new TinyModel(1).config("model_type", "unheard_of").write(model());
    Path output = temp.resolve("out");
    String unsupported = "model_type \"unheard_of\" isn't supported; Quench knows: llama";

    Quench.runShort(
            "compress",
            model(),
            "--scheme",
            "W4A16",
            "--method",
            "gptq",
            "--calibration",
            rows,
            "-o",
            output)
        .failed(2, unsupported);
    Quench.runShort("evaluate", model(), "--text", rows).failed(2, unsupported);
    Folders.assertNothingLeft(output);
    Quench.run("compress", model(), "--scheme", "W8A16", "-o", output).succeeded();
    assertThat(Quench.run("verify", output).succeeded().out()).contains("is sound");
    assertThat(Quench.run("inspect", output).succeeded().out())
        .contains("unheard_of, compressed (pack-quantized)")
        .contains("int8 group 128");
  }
}
