package dev.quench.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Runs that are killed or interrupted, and what the same command with --resume makes of them. */
class InterruptedRunTest {
  private static final int LAYERS = 4;

  @TempDir private static Path shared;
  @TempDir private Path temp;
  private static Path model = Path.of("");
  private static Path rows = Path.of("");
  private static Map<String, String> modelFiles = Map.of();
  private static Map<String, String> expected = Map.of();

  @BeforeAll
  static void uninterrupted() throws IOException {
    model = new TinyModel(LAYERS).write(shared.resolve("model"));
    rows = TinyModel.writeRows(shared.resolve("rows.jsonl"), 32, 64);
    modelFiles = Folders.sha256(model);
    Path output = shared.resolve("out");
    Quench.run(gptq(output)).succeeded();
    expected = Folders.sha256(output);
    assertThat(expected).containsKeys("model.safetensors", "config.json", "recipe.yaml");
  }

  private static Object[] gptq(Path output, Object... more) {
    return Quench.with(
        new Object[] {
          "compress",
          model,
          "--scheme",
          "W4A16",
          "--method",
          "gptq",
          "--calibration",
          rows,
          "--threads",
          "2",
          "-o",
          output
        },
        more);
  }

  private Path output() {
    return temp.resolve("out");
  }

  private void assertSameAsUninterrupted() {
    assertThat(Folders.sha256(output())).isEqualTo(expected);
    assertThat(Folders.partial(output())).doesNotExist();
    assertThat(Folders.sha256(model)).isEqualTo(modelFiles);
  }

  /** Killed after the first layer, again two layers later, and then left to end. */
  @Test
  void killedTwice() {
    try (Quench run = Quench.start(gptq(output()))) {
      run.awaitLine("layer 1/").signal("KILL").await();
    }
    assertThat(output()).doesNotExist();
    assertThat(Folders.sha256(Folders.partial(output()))).containsKey("journal.jsonl");
    try (Quench run = Quench.start(gptq(output(), "--resume"))) {
      run.awaitLine("Resuming after layer").awaitLine("layer 3/").signal("KILL").await();
    }
    assertThat(output()).doesNotExist();
    Quench.Result end = Quench.run(gptq(output(), "--resume")).succeeded();
    assertThat(end.err()).contains("Resuming after layer").doesNotContain("layer 3/");
    assertSameAsUninterrupted();
  }

  /** At a time when there is a folder, and perhaps a journal, but no layer. */
  @Test
  void killedBeforeTheFirstLayer() throws IOException {
    try (Quench run = Quench.start(gptq(output()))) {
      run.awaitLine("compressing").signal("KILL").await();
    }
    assertThat(output()).doesNotExist();
    Path partial = Files.createDirectories(Folders.partial(output()));
    Files.writeString(partial.resolve("journal.jsonl"), "{\"batch si");
    Quench.run(gptq(output(), "--resume")).succeeded();
    assertSameAsUninterrupted();
  }

  /** Ctrl-C keeps the finished layers; a journal is of one recipe. */
  @Test
  void interruptedAfterALayer() {
    try (Quench run = Quench.start(gptq(output()))) {
      Quench.Result result = run.awaitLine("layer 1/").signal("INT").await();
      result.failed(1, "interrupted");
      assertThat(result.err()).contains("the same command with --resume goes on");
    }
    assertThat(output()).doesNotExist();
    Path partial = Folders.partial(output());
    Map<String, String> kept = Folders.sha256(partial);
    assertThat(kept).containsKey("journal.jsonl");

    Quench.runShort(gptq(output())).failed(2, partial.toString(), "--resume");
    Quench.Result other =
        Quench.runShort(
            "compress",
            model,
            "--scheme",
            "W8A16",
            "--method",
            "gptq",
            "--calibration",
            rows,
            "--resume",
            "-o",
            output());
    other.failed(2, partial.toString(), "another recipe", "start anew");
    Quench.runShort("compress", model, "--scheme", "W4A16", "--resume", "-o", output())
        .failed(2, partial.toString(), "another recipe");
    assertThat(Folders.sha256(partial)).isEqualTo(kept);

    Quench.run(gptq(output(), "--resume")).succeeded();
    assertSameAsUninterrupted();
  }

  @Test
  void interruptedBeforeTheFirstLayer() throws IOException {
    Path many = TinyModel.writeRows(temp.resolve("many.jsonl"), 2048, 128);
    Object[] args = {
      "compress",
      model,
      "--scheme",
      "W4A16",
      "--method",
      "gptq",
      "--calibration",
      many,
      "--samples",
      "2048",
      "--batch-tokens",
      "128",
      "--threads",
      "1",
      "-o",
      output()
    };
    try (Quench run = Quench.start(args)) {
      run.awaitLine("compressing").signal("INT").await().failed(1, "interrupted");
    }
    Folders.assertNothingLeft(output());
  }

  /**
   * Nobody reads the events, so the pipe fills up after some 64 KiB, and the run stands still in
   * the middle of its layers when the signal arrives.
   */
  @Test
  void interruptedRounding() throws Exception {
    Path deep = new TinyModel(200, 32).write(temp.resolve("deep"));
    Map<String, String> before = Folders.sha256(deep);
    Object[] args = {"compress", deep, "--scheme", "W8A8", "--json", "-o", output()};
    try (Quench run = Quench.start(args)) {
      run.awaitLine("\"layer\":1,").signal("INT");
      Thread.sleep(500);
      run.await().failed(1, "interrupted");
    }
    Folders.assertNothingLeft(output());
    assertThat(Folders.sha256(deep)).isEqualTo(before);
  }
}
