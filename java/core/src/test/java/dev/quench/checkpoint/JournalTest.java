package dev.quench.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

class JournalTest {
  private static final SortedMap<String, String> IDENTITY =
      new TreeMap<>(Map.of("model", "12ab", "recipe", "34cd"));

  @TempDir Path folder;

  @Test
  void aNewJournalHasNothingFinished() {
    assertThat(Journal.exists(folder)).isFalse();
    try (Journal journal = Journal.create(folder, IDENTITY)) {
      assertThat(journal.finished()).isEmpty();
    }
    assertThat(Journal.exists(folder)).isTrue();
    assertThat(resumed()).isEmpty();
  }

  @Test
  void givesBackWhatWasFinishedInOrder() {
    write(2);

    assertThat(resumed()).containsExactly(layer(0), layer(1));
  }

  @Test
  void goesOnAfterAResume() {
    write(1);
    try (Journal journal = Journal.resume(folder, IDENTITY)) {
      journal.append(layer(1));
    }

    assertThat(resumed()).containsExactly(layer(0), layer(1));
  }

  /** A crash may leave any part of the last line, or what the file system put in its place. */
  @Test
  void aTornLastLineDoesNotCountAndIsReplaced() throws IOException {
    write(2);
    byte[] whole = Files.readAllBytes(file());
    int lastLine = new String(whole, StandardCharsets.ISO_8859_1).indexOf("{\"layer\":1");
    for (int length = lastLine; length < whole.length; length++) {
      Files.write(file(), Arrays.copyOf(whole, length));
      assertThat(resumed()).as("of %d bytes", length).containsExactly(layer(0));

      try (Journal journal = Journal.resume(folder, IDENTITY)) {
        journal.append(layer(1));
      }
      assertThat(Files.readAllBytes(file())).isEqualTo(whole);
    }
    Files.write(file(), new byte[300], StandardOpenOption.APPEND);
    assertThat(resumed()).containsExactly(layer(0), layer(1));
  }

  @Test
  void aTornFirstLineSaysNothing() throws IOException {
    write(0);
    byte[] whole = Files.readAllBytes(file());
    Files.write(file(), Arrays.copyOf(whole, whole.length - 1));

    refused(IDENTITY, "says nothing; delete " + folder);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{\"layer\":", "[]", "1", "{} {}", "\u0000\u0000"})
  void refusesADamagedLine(String line) throws IOException {
    write(1);
    long length = Files.size(file());
    Files.writeString(file(), line + "\n", StandardOpenOption.APPEND);

    refused(IDENTITY, "is damaged at byte " + length + "; delete " + folder);
  }

  @Test
  void refusesAnotherRunAndSaysWhatDiffers() {
    write(1);

    refused(Map.of("model", "12ab", "recipe", "other"), "by a run with another recipe");
    refused(Map.of("model", "other", "recipe", "34cd"), "by a run with another model");
    refused(Map.of("model", "12ab"), "by a run with another recipe");
    refused(
        Map.of("model", "12ab", "recipe", "34cd", "calibration", "x"),
        "by a run with another calibration");
    assertThat(resumed()).as("it was left alone").containsExactly(layer(0));
  }

  @Test
  void refusesAMissingJournal() {
    refused(IDENTITY, "can't be read: NoSuchFileException");
  }

  @Test
  void doesNotStartOverAnotherJournal() {
    write(1);

    assertThatExceptionOfType(QuenchException.class)
        .isThrownBy(() -> Journal.create(folder, IDENTITY).close())
        .withMessageContaining("journal.jsonl");
    assertThat(resumed()).containsExactly(layer(0));
  }

  private void write(int layers) {
    try (Journal journal = Journal.create(folder, IDENTITY)) {
      for (int i = 0; i < layers; i++) {
        journal.append(layer(i));
      }
    }
  }

  private static ObjectNode layer(int i) {
    ObjectNode line = Json.MAPPER.createObjectNode().put("layer", i);
    line.putObject("loss").put("two\nlines é", "0.5");
    return line;
  }

  private List<ObjectNode> resumed() {
    try (Journal journal = Journal.resume(folder, IDENTITY)) {
      return journal.finished();
    }
  }

  private void refused(Map<String, String> identity, String reason) {
    assertThatExceptionOfType(InvalidInputException.class)
        .isThrownBy(() -> Journal.resume(folder, new TreeMap<>(identity)).close())
        .withMessageContaining(reason);
  }

  private Path file() {
    return folder.resolve("journal.jsonl");
  }
}
