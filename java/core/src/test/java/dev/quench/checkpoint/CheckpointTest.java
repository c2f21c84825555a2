package dev.quench.checkpoint;

import static dev.quench.checkpoint.RawFiles.counting;
import static dev.quench.checkpoint.RawFiles.entry;
import static dev.quench.checkpoint.RawFiles.header;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointTest {
  private static final String FIRST = "model-00001-of-00002.safetensors";
  private static final String SECOND = "model-00002-of-00002.safetensors";

  @TempDir Path folder;

  @Test
  void opensASingleFile() {
    single();
    Checkpoint checkpoint = Checkpoint.open(folder);

    assertThat(checkpoint.folder()).isEqualTo(folder);
    assertThat(checkpoint.config().path("model_type").asString()).isEqualTo("llama");
    assertThat(checkpoint.tensors().keySet()).containsExactly("a.weight", "b.weight");
    try (Arena arena = Arena.ofConfined()) {
      assertThat(checkpoint.read("b.weight", arena).data().toArray(ValueLayout.JAVA_BYTE))
          .isEqualTo(counting(3, 2));
    }
  }

  @Test
  void whatItGivesCannotBeChanged() {
    single();
    Checkpoint checkpoint = Checkpoint.open(folder);

    checkpoint.config().put("model_type", "other");
    assertThat(checkpoint.config().path("model_type").asString()).isEqualTo("llama");
    assertThatThrownBy(() -> checkpoint.tensors().clear())
        .isInstanceOf(UnsupportedOperationException.class);
  }

  @Test
  void opensShards() {
    shards();
    index("{'a':'" + FIRST + "','b':'" + SECOND + "','c':'" + SECOND + "'}");

    Checkpoint checkpoint = Checkpoint.open(folder);

    assertThat(checkpoint.tensors().keySet()).containsExactly("a", "b", "c");
    assertThat(checkpoint.require("c").file()).isEqualTo(folder.resolve(SECOND));
  }

  /** As the configurations of Mamba 2 and Bamba do. */
  @Test
  void aConfigurationMayHoldInfinity() {
    single();
    write("config.json", "{'time_step_limit':[0.0,Infinity]}");

    assertThat(Checkpoint.open(folder).config().path("time_step_limit").path(1).asDouble())
        .isInfinite();
  }

  @Test
  void namesWhatATensorMayHaveBeen() {
    single();
    Checkpoint checkpoint = Checkpoint.open(folder);

    assertThatExceptionOfType(InvalidInputException.class)
        .isThrownBy(() -> checkpoint.require("a.weigth"))
        .withMessageContaining("has no tensor a.weigth. Did you mean a.weight or b.weight?");
  }

  @Test
  void refusesAMissingFolder() {
    folder = folder.resolve("missing");
    refused("doesn't exist; give the folder of a Hugging Face checkpoint");
  }

  @Test
  void refusesAFile() {
    single();
    folder = folder.resolve("model.safetensors");
    refused("isn't a folder; a model is a folder with config.json and model.safetensors");
  }

  @Test
  void refusesAFolderWithoutConfiguration() {
    single();
    delete("config.json");
    refused("config.json is missing");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{", "{'a':1,'a':2}", "{'a':1} {}"})
  void refusesAnInvalidConfiguration(String text) {
    single();
    write("config.json", text);
    refused("config.json");
  }

  @Test
  void refusesAConfigurationThatIsNoObject() {
    single();
    write("config.json", "[1]");
    refused("config.json must be a JSON object, found ARRAY");
  }

  @Test
  void refusesAFolderWithoutWeights() {
    write("config.json", "{}");
    refused("has neither model.safetensors nor model.safetensors.index.json");
  }

  @ParameterizedTest
  @ValueSource(strings = {"pytorch_model.bin", "pytorch_model.bin.index.json"})
  void saysHowToConvertPickledWeights(String file) {
    write("config.json", "{}");
    write(file, "");
    refused("save_pretrained(…, safe_serialization=True)");
  }

  @Test
  void refusesAMissingShard() {
    shards();
    index("{'a':'" + FIRST + "','b':'" + SECOND + "','c':'" + SECOND + "'}");
    delete(SECOND);
    refused("names the shard " + SECOND + ", which isn't in " + folder + "; download it too.");
  }

  @Test
  void refusesADamagedShard() {
    shards();
    index("{'a':'" + FIRST + "','b':'" + SECOND + "','c':'" + SECOND + "'}");
    write(SECOND, "");
    refused(SECOND + " has 0 bytes");
  }

  @Test
  void refusesATensorThatIsNotInItsShard() {
    shards();
    index("{'a':'" + SECOND + "','b':'" + FIRST + "','c':'" + SECOND + "'}");
    refused("says that tensor a is in " + SECOND + ", but it isn't");
  }

  @Test
  void refusesATensorThatIsInNoShard() {
    shards();
    index("{'a':'" + FIRST + "','b':'" + SECOND + "','c':'" + SECOND + "','d':'" + FIRST + "'}");
    refused("says that tensor d is in " + FIRST + ", but it isn't");
  }

  @Test
  void refusesATensorThatTheIndexDoesNotList() {
    shards();
    index("{'a':'" + FIRST + "','b':'" + SECOND + "'}");
    refused(SECOND + " holds tensor c, which");
  }

  @Test
  void refusesATensorInTwoShards() {
    shards();
    RawFiles.write(folder.resolve(FIRST), header(entry("c", "U8", "[1]", 0, 1)), new byte[1]);
    index("{'c':'" + FIRST + "','b':'" + SECOND + "'}");
    refused("tensor c is in two shards");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "{}", "null", "'" + FIRST + "'"})
  void refusesAnIndexWithoutWeightMap(String weightMap) {
    shards();
    index(weightMap);
    refused("model.safetensors.index.json: it has no weight_map");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"../model.safetensors", "/etc/passwd", "a\\\\b.safetensors", "config.json", ""})
  void refusesAShardOutsideTheFolder(String shard) {
    shards();
    index("{'a':'" + shard + "'}");
    refused("which isn't a shard of this folder");
  }

  @Test
  void refusesAShardNameThatIsNoText() {
    shards();
    index("{'a':1}");
    refused("the entry of tensor a isn't a file name");
  }

  @Test
  void takesOverAllFilesButWeightsConfigurationHiddenFilesAndFolders() throws IOException {
    single();
    Files.createDirectories(folder.resolve("original"));
    for (String name :
        new String[] {
          "tokenizer.json",
          "README.md",
          "LICENSE",
          "generation_config.json",
          "chat_template.jinja",
          "tokenizer.model",
          ".gitattributes",
          "pytorch_model.bin",
          "consolidated.00.pth",
          "model.gguf",
          "MODEL.ONNX",
          "model.safetensors.index.json.bak",
          "extra.safetensors",
          "pytorch_model.bin.index.json"
        }) {
      write(name, "");
    }

    assertThat(Checkpoint.open(folder).companionFiles())
        .extracting(file -> file.getFileName().toString())
        .containsExactly(
            "LICENSE",
            "README.md",
            "chat_template.jinja",
            "generation_config.json",
            "model.safetensors.index.json.bak",
            "tokenizer.json",
            "tokenizer.model");
  }

  private void single() {
    write("config.json", "{'model_type':'llama'}");
    RawFiles.write(
        folder.resolve("model.safetensors"),
        header(entry("a.weight", "U8", "[3]", 0, 3), entry("b.weight", "U8", "[2]", 3, 5)),
        counting(0, 5));
  }

  private void shards() {
    write("config.json", "{}");
    RawFiles.write(folder.resolve(FIRST), header(entry("a", "U8", "[1]", 0, 1)), new byte[1]);
    RawFiles.write(
        folder.resolve(SECOND),
        header(entry("b", "U8", "[1]", 0, 1), entry("c", "U8", "[1]", 1, 2)),
        new byte[2]);
  }

  private void index(String weightMap) {
    write("model.safetensors.index.json", "{'metadata':{},'weight_map':" + weightMap + "}");
  }

  private void write(String name, String text) {
    try {
      Files.writeString(folder.resolve(name), text.replace('\'', '"'));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private void delete(String name) {
    try {
      Files.delete(folder.resolve(name));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private void refused(String reason) {
    assertThatExceptionOfType(InvalidInputException.class)
        .isThrownBy(() -> Checkpoint.open(folder))
        .withMessageContaining(reason);
  }
}
