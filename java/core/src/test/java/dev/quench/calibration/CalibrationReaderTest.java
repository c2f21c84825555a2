package dev.quench.calibration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import dev.quench.calibration.DataOptions.Packing;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CalibrationReaderTest {
  private static final Path EXAMPLE = Path.of("../../examples/tiny-llama");
  private static final int VOCABULARY = 4096;

  @TempDir Path folder;

  private CalibrationReader reader(int samples, int length, Packing packing) {
    return new CalibrationReader(EXAMPLE, VOCABULARY, new DataOptions(samples, length, 7, packing));
  }

  private Path file(String name, String content) throws IOException {
    return Files.writeString(folder.resolve(name), content);
  }

  /**
   * The digest was computed from transformers' AutoTokenizer: texts tokenized one by one, joined,
   * cut into 512.
   */
  @Test
  void concatenatedRowsAreThoseOfTransformers() {
    CalibrationData data =
        reader(64, 512, Packing.CONCATENATE).read(EXAMPLE.resolve("calibration.jsonl"));
    assertThat(data.rows()).hasSize(64).allMatch(row -> row.length == 512);
    assertThat(data.fingerprint())
        .isEqualTo("dbdbc79fb331dd731c9d9a149a510cec6f061981510a1cbffe99926aec373e42");
    assertThat(data.warnings()).isEmpty();
  }

  @Test
  void rowsAreDrawnBySeedAndCut() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 20; i++) {
      lines.append("[%d, 1, 2, 3, 4]\n".formatted(i));
    }
    Path jsonl = file("rows.jsonl", lines.toString());
    List<int[]> rows = reader(5, 3, Packing.ROWS).read(jsonl).rows();
    assertThat(rows).hasSize(5).allMatch(row -> row.length == 3);
    int[] drawn = rows.stream().mapToInt(row -> row[0]).toArray();
    assertThat(Arrays.stream(drawn).distinct().count()).isEqualTo(5);
    // Which documents a seed draws must never change, or results do.
    assertThat(drawn).containsExactly(PINNED);
    assertThat(reader(5, 3, Packing.ROWS).read(jsonl).fingerprint())
        .isEqualTo(reader(5, 3, Packing.ROWS).read(jsonl).fingerprint());
  }

  private static final int[] PINNED = {16, 11, 9, 18, 15};

  @Test
  void plainTextIsCutIntoRows() throws IOException {
    Path text = file("a.txt", "The whale swam. ".repeat(100));
    CalibrationData data = reader(4, 32, Packing.ROWS).read(text);
    assertThat(data.rows()).hasSize(4).allMatch(row -> row.length == 32);
  }

  @Test
  void fewerRowsThanAskedForIsSaid() throws IOException {
    Path jsonl = file("rows.jsonl", "{\"input_ids\": [1, 2, 3]}\n\n{\"input_ids\": [4]}\n");
    CalibrationData data = reader(9, 8, Packing.ROWS).read(jsonl);
    assertThat(data.rows()).hasSize(1);
    assertThat(data.warnings())
        .anyMatch(text -> text.contains("only 1 of the 9"))
        .anyMatch(text -> text.contains("fewer than two tokens"));
  }

  @Test
  void idsGoBeforeMessagesGoBeforeText() throws IOException {
    Path jsonl = file("rows.jsonl", "{\"text\": \"x\", \"messages\": [], \"input_ids\": [5, 6]}\n");
    assertThat(reader(1, 8, Packing.ROWS).read(jsonl).rows().getFirst()).containsExactly(5, 6);
  }

  @Test
  void badInputNamesTheLine() throws IOException {
    refused(
        file("a.jsonl", "{\"input_ids\": [1, 2]}\n{\"input_ids\": [1,}\n"), "a.jsonl:2", "JSON");
    refused(file("b.jsonl", "{\"words\": 3}\n"), "b.jsonl:1", "text, messages or input_ids");
    refused(file("c.jsonl", "[1, 4096]\n"), "c.jsonl:1", "4096");
    refused(file("d.jsonl", "[1, -4]\n"), "d.jsonl:1", "non-negative");
    refused(file("e.jsonl", "  \n"), "e.jsonl", "empty");
    refused(file("f.jsonl", "[1]\n[2]\n"), "f.jsonl", "too short");
    refused(file("g.parquet", "PAR1"), "g.parquet", "Parquet");
    refused(folder.resolve("none.jsonl"), "none.jsonl", "exist");
  }

  private void refused(Path path, String... parts) {
    assertThatThrownBy(() -> reader(3, 8, Packing.ROWS).read(path))
        .isInstanceOf(InvalidInputException.class)
        .satisfies(e -> assertThat(e.getMessage()).contains(parts));
  }

  @Test
  void batchesHoldWholeRows() {
    List<Batch> batches = Batch.of(List.of(new int[3], new int[4], new int[9], new int[1]), 8);
    assertThat(batches).hasSize(3);
    assertThat(batches.get(0).starts()).containsExactly(0, 3, 7);
    assertThat(batches.get(0).positions()).containsExactly(0, 1, 2, 0, 1, 2, 3);
    assertThat(batches.get(1).starts()).containsExactly(0, 9);
    assertThat(batches.get(2).starts()).containsExactly(0, 1);
  }
}
