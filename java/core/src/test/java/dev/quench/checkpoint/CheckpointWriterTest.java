package dev.quench.checkpoint;

import static dev.quench.checkpoint.RawFiles.counting;
import static dev.quench.checkpoint.RawFiles.entry;
import static dev.quench.checkpoint.RawFiles.header;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.node.ObjectNode;

class CheckpointWriterTest {
  private static final ObjectNode CONFIG =
      Json.MAPPER.createObjectNode().put("rms_norm_eps", 1e-5).put("architectures", "x");

  @TempDir Path temporary;
  private Path output = Path.of("");
  private Path partial = Path.of("");

  @BeforeEach
  void place() {
    output = temporary.resolve("out");
    partial = temporary.resolve("out.partial");
  }

  // ---- writing

  @Test
  void everyTypeComesBackAsItWasWritten() {
    List<OutputTensor> tensors = new ArrayList<>();
    for (DType dtype : DType.values()) {
      tensors.add(new OutputTensor(dtype.name(), dtype, Shape.of(4, 2)));
    }
    try (CheckpointWriter writer =
        CheckpointWriter.create(output, OutputLayout.plan(tensors, 1 << 20))) {
      for (OutputTensor tensor : tensors) {
        writer.write(tensor.name(), host(tensor));
      }
      writer.finish(CONFIG, List.of(), Map.of());
    }

    Checkpoint checkpoint = Checkpoint.open(output);
    assertThat(checkpoint.tensors()).hasSize(DType.values().length);
    tensors.forEach(tensor -> assertSame(checkpoint, tensor));
  }

  @Test
  void writesManyShardsInAnyOrderFromManyThreads() throws Exception {
    List<OutputTensor> tensors = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      DType dtype = i % 2 == 0 ? DType.BF16 : DType.U8;
      tensors.add(new OutputTensor("t" + i, dtype, Shape.of(i, 3)));
    }
    List<OutputTensor> shuffled = new ArrayList<>(tensors);
    Collections.shuffle(shuffled, new Random(1));
    OutputLayout layout = OutputLayout.plan(tensors, 500);
    assertThat(layout.shardCount()).isGreaterThan(5);

    try (CheckpointWriter writer = CheckpointWriter.create(output, layout);
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Future<?>> writes = new ArrayList<>();
      for (OutputTensor tensor : shuffled) {
        writes.add(threads.submit(() -> writer.write(tensor.name(), host(tensor))));
      }
      for (Future<?> write : writes) {
        write.get();
      }
      writer.finish(CONFIG, List.of(), Map.of());
    }

    Checkpoint checkpoint = Checkpoint.open(output);
    tensors.forEach(tensor -> assertSame(checkpoint, tensor));
  }

  /** Longer than one system call's share, with a rest. */
  @Test
  void writesAndCopiesLargeTensors() {
    OutputTensor large = tensor("large", (8 << 20) + 12345);
    Checkpoint source = model(large);
    OutputLayout layout = OutputLayout.plan(List.of(tensor("odd", 3), large), 1L << 30);
    try (CheckpointWriter writer = CheckpointWriter.create(output, layout)) {
      writer.write("odd", host(tensor("odd", 3)));
      writer.copy(source.require("large"));
      writer.finish(CONFIG, List.of(), Map.of());
    }
    assertSame(Checkpoint.open(output), large);
    assertSame(Checkpoint.open(output), tensor("odd", 3));

    output = temporary.resolve("out2");
    try (CheckpointWriter writer = CheckpointWriter.create(output, layout)) {
      writer.write("large", host(large));
      writer.write("odd", host(tensor("odd", 3)));
      writer.finish(CONFIG, List.of(), Map.of());
    }
    assertSame(Checkpoint.open(output), large);
  }

  @Test
  void writesIndexConfigurationAndCompanions() throws IOException {
    Path companion = Files.writeString(temporary.resolve("tokenizer.json"), "{ }");
    OutputLayout layout = OutputLayout.plan(List.of(tensor("b", 10), tensor("a", 10)), 10);
    try (CheckpointWriter writer = CheckpointWriter.create(output, layout)) {
      Journal.create(writer.partial(), new TreeMap<>(Map.of("model", "x"))).close();
      writeAll(writer, "a", "b");
      writer.finish(CONFIG, List.of(companion), Map.of("recipe.yaml", "r: 1\n"));
    }

    assertThat(names(output))
        .containsExactly(
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "recipe.yaml",
            "tokenizer.json");
    assertThat(output.resolve("tokenizer.json")).hasContent("{ }");
    assertThat(output.resolve("recipe.yaml")).hasContent("r: 1\n");
    assertThat(Files.readString(output.resolve("config.json")))
        .isEqualTo("{\n  \"architectures\": \"x\",\n  \"rms_norm_eps\": 1e-05\n}");
    assertThat(Files.readString(output.resolve("model.safetensors.index.json")))
        .isEqualTo(
            """
            {
              "metadata": {
                "total_size": 20
              },
              "weight_map": {
                "a": "model-00002-of-00002.safetensors",
                "b": "model-00001-of-00002.safetensors"
              }
            }
            """);
    assertThat(partial).doesNotExist();
  }

  @Test
  void theOutputAppearsOnlyWhenItIsComplete() {
    try (CheckpointWriter writer = CheckpointWriter.create(output, layout("a", "b"))) {
      writeAll(writer, "a");
      assertThat(output).doesNotExist();
      assertThatExceptionOfType(IllegalStateException.class)
          .isThrownBy(() -> writer.finish(CONFIG, List.of(), Map.of()))
          .withMessage("tensors that nobody wrote: [b]");
      assertThat(output).doesNotExist();
      writeAll(writer, "b");
      writer.finish(CONFIG, List.of(), Map.of());
    }
    assertThat(Checkpoint.open(output).tensors()).hasSize(2);
  }

  @Test
  void takesATensorOnceAndOnlyAsItWasPlanned() {
    OutputTensor planned = tensor("a", 10);
    Checkpoint source = model(tensor("a", 11));
    try (CheckpointWriter writer =
        CheckpointWriter.create(output, OutputLayout.plan(List.of(planned), 100))) {
      assertThatExceptionOfType(IllegalArgumentException.class)
          .isThrownBy(() -> writer.write("a", host(new OutputTensor("a", DType.I8, Shape.of(10)))));
      assertThatExceptionOfType(IllegalArgumentException.class)
          .isThrownBy(
              () -> writer.write("a", host(new OutputTensor("a", DType.U8, Shape.of(2, 5)))));
      assertThatExceptionOfType(IllegalArgumentException.class)
          .isThrownBy(() -> writer.copy(source.require("a")));
      assertThatExceptionOfType(IllegalArgumentException.class)
          .isThrownBy(() -> writer.write("b", host(planned)));
      writer.write("a", host(planned));
      assertThatExceptionOfType(IllegalStateException.class)
          .isThrownBy(() -> writer.write("a", host(planned)));
    }
  }

  @Test
  void aSourceThatShrankIsNoticed() throws IOException {
    Checkpoint source = model(tensor("a", 10));
    Path file = source.require("a").file();
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, java.util.Arrays.copyOf(bytes, bytes.length - 1));

    try (CheckpointWriter writer = CheckpointWriter.create(output, layout("a"))) {
      assertThatExceptionOfType(QuenchException.class)
          .isThrownBy(() -> writer.copy(source.require("a")))
          .withMessageContaining("became shorter while it was in use: tensor a");
    }
  }

  // ---- resuming

  @Test
  void aResumedRunEndsWithTheSameBytes() throws IOException {
    try (CheckpointWriter writer = CheckpointWriter.create(output, layout("a", "b"))) {
      writeAll(writer, "a", "b");
      writer.finish(CONFIG, List.of(), Map.of());
    }
    byte[] uninterrupted = Files.readAllBytes(output.resolve("model.safetensors"));
    output = temporary.resolve("resumed");

    try (CheckpointWriter writer = CheckpointWriter.create(output, layout("a", "b"))) {
      writeAll(writer, "a");
      writer.force();
    }
    try (CheckpointWriter writer = CheckpointWriter.reopen(output, layout("a", "b"));
        Arena arena = Arena.ofConfined()) {
      writer.markWritten(List.of("a"));
      assertThat(writer.read("a", arena).data().toArray(ValueLayout.JAVA_BYTE))
          .isEqualTo(content(tensor("a", 10)));
      writeAll(writer, "b");
      writer.finish(CONFIG, List.of(), Map.of());
    }
    assertThat(Files.readAllBytes(output.resolve("model.safetensors"))).isEqualTo(uninterrupted);
  }

  @Test
  void refusesToResumeAnotherLayout() {
    CheckpointWriter.create(output, layout("a", "b")).close();

    for (OutputLayout other :
        List.of(
            layout("a", "c"),
            layout("a"),
            OutputLayout.plan(List.of(tensor("a", 10), tensor("b", 11)), 100))) {
      assertThatExceptionOfType(InvalidInputException.class)
          .isThrownBy(() -> CheckpointWriter.reopen(output, other).close())
          .withMessageContaining("isn't what this run would write; delete " + partial);
    }
    assertThatExceptionOfType(InvalidInputException.class)
        .isThrownBy(
            () ->
                CheckpointWriter.reopen(
                        output, OutputLayout.plan(List.of(tensor("a", 10), tensor("b", 10)), 10))
                    .close())
        .withMessageContaining("model-00001-of-00002.safetensors can't be opened to go on with it");
    CheckpointWriter.reopen(output, layout("a", "b")).close();
  }

  @Test
  void refusesToResumeATruncatedShard() throws IOException {
    CheckpointWriter.create(output, layout("a")).close();
    Path shard = partial.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(shard);
    Files.write(shard, java.util.Arrays.copyOf(bytes, bytes.length - 1));

    assertThatExceptionOfType(InvalidInputException.class)
        .isThrownBy(() -> CheckpointWriter.reopen(output, layout("a")).close())
        .withMessageContaining("isn't what this run would write");
  }

  @Test
  void doesNotStartOverAPartialFolder() {
    CheckpointWriter.create(output, layout("a")).close();

    assertThatExceptionOfType(InvalidInputException.class)
        .isThrownBy(() -> CheckpointWriter.create(output, layout("a")).close())
        .withMessage(
            "%s is left of a run that didn't end. Go on with it (--resume), or delete it.",
            partial);
    assertThat(partial.resolve("model.safetensors")).exists();
  }

  // ---- ending without a result

  @Test
  void abortRemovesWhatWasWrittenAndTheParentsThatWereMade() {
    Path deep = temporary.resolve("x/y/out");
    try (CheckpointWriter writer = CheckpointWriter.create(deep, layout("a"))) {
      assertThat(temporary.resolve("x/y/out.partial")).isDirectory();
      writer.abort();
    }
    assertThat(temporary).isEmptyDirectory();
  }

  @Test
  void abortLeavesParentsThatWereThereOrAreUsed() throws IOException {
    Files.createDirectory(temporary.resolve("x"));
    try (CheckpointWriter writer =
        CheckpointWriter.create(temporary.resolve("x/y/z/out"), layout("a"))) {
      Files.writeString(temporary.resolve("x/y/notes"), "");
      writer.abort();
    }
    assertThat(names(temporary.resolve("x/y"))).containsExactly("notes");
  }

  @Test
  void abortKeepsACompleteCheckpointThatCouldNotTakeItsName() throws IOException {
    try (CheckpointWriter writer = CheckpointWriter.create(output, layout("a"))) {
      writeAll(writer, "a");
      Files.createDirectory(output);
      Files.writeString(output.resolve("somebody's"), "");

      assertThatExceptionOfType(QuenchException.class)
          .isThrownBy(() -> writer.finish(CONFIG, List.of(), Map.of()))
          .withMessageContaining("The finished checkpoint is in " + partial);
      writer.abort();
    }
    assertThat(output.resolve("somebody's")).exists();
    assertThat(Checkpoint.open(partial).tensors()).containsOnlyKeys("a");
  }

  @Test
  void discardRemovesAPartialFolderOnly() throws IOException {
    CheckpointWriter.discard(output);
    CheckpointWriter.create(output, layout("a")).close();
    CheckpointWriter.discard(output);
    assertThat(partial).doesNotExist();

    Files.createDirectory(partial);
    Files.writeString(partial.resolve("thesis.tex"), "");
    assertThatExceptionOfType(InvalidInputException.class)
        .isThrownBy(() -> CheckpointWriter.discard(output))
        .withMessageContaining(partial + " isn't what Quench left there");
    assertThat(partial.resolve("thesis.tex")).exists();
  }

  @Test
  void refusesWhatTheDiskCannotHoldAndLeavesNothing() {
    OutputTensor huge = new OutputTensor("huge", DType.U8, Shape.of(1L << 59));

    assertThatExceptionOfType(QuenchException.class)
        .isThrownBy(
            () -> CheckpointWriter.create(output, OutputLayout.plan(List.of(huge), 1)).close())
        .withMessageContaining("the output takes 576")
        .withMessageContaining("free where " + output + " lies");
    assertThat(temporary).isEmptyDirectory();
  }

  // ---- where an output may be

  @Test
  void anOutputMayBeNewOrAnEmptyFolder() throws IOException {
    Path source = Files.createDirectory(temporary.resolve("model"));
    CheckpointWriter.checkOutput(output, source);
    Files.createDirectory(output);
    CheckpointWriter.checkOutput(output, source);

    try (CheckpointWriter writer = CheckpointWriter.create(output, layout("a"))) {
      writeAll(writer, "a");
      writer.finish(CONFIG, List.of(), Map.of());
    }
    assertThat(Checkpoint.open(output).tensors()).containsOnlyKeys("a");
  }

  @Test
  void anOutputMustNotBeInUse() throws IOException {
    Path source = Files.createDirectory(temporary.resolve("model"));
    Path used = Files.createDirectory(temporary.resolve("used"));
    Path file = Files.writeString(used.resolve("file"), "");

    refused(used, source, "isn't empty; give another -o, or remove it");
    refused(file, source, "is a file; give the name of a new folder");
    refused(source, source, "lies in the model's folder");
    refused(source.resolve("x/y"), source, "lies in the model's folder");
    refused(temporary.resolve("used/../model/x"), source, "lies in the model's folder");
    refused(temporary.resolve("model2"), temporary.resolve("model2.partial"), "would be made in");
  }

  private static void refused(Path output, Path source, String reason) {
    assertThatExceptionOfType(InvalidInputException.class)
        .isThrownBy(() -> CheckpointWriter.checkOutput(output, source))
        .withMessageContaining(reason);
  }

  // ---- helpers

  private static OutputTensor tensor(String name, long bytes) {
    return new OutputTensor(name, DType.U8, Shape.of(bytes));
  }

  private static OutputLayout layout(String... names) {
    return OutputLayout.plan(Stream.of(names).map(name -> tensor(name, 10)).toList(), 1 << 20);
  }

  private static void writeAll(CheckpointWriter writer, String... names) {
    for (String name : names) {
      writer.write(name, host(tensor(name, 10)));
    }
  }

  /** Bytes that no other tensor of a test has. */
  private static byte[] content(OutputTensor tensor) {
    return counting(tensor.name().hashCode(), Math.toIntExact(tensor.bytes()));
  }

  private static HostTensor host(OutputTensor tensor) {
    return new HostTensor(tensor.dtype(), tensor.shape(), MemorySegment.ofArray(content(tensor)));
  }

  private static void assertSame(Checkpoint checkpoint, OutputTensor tensor) {
    try (Arena arena = Arena.ofConfined()) {
      HostTensor read = checkpoint.read(tensor.name(), arena);
      assertThat(read.dtype()).isEqualTo(tensor.dtype());
      assertThat(read.shape()).isEqualTo(tensor.shape());
      assertThat(read.data().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(content(tensor));
    }
  }

  private Checkpoint model(OutputTensor tensor) {
    Path folder = temporary.resolve("model");
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve("config.json"), "{}");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    String entry = entry(tensor.name(), "U8", tensor.shape().toString(), 0, tensor.bytes());
    RawFiles.write(folder.resolve("model.safetensors"), header(entry), content(tensor));
    return Checkpoint.open(folder);
  }

  private static List<String> names(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
