package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.Cancellation;
import dev.quench.InvalidInputException;
import dev.quench.calibration.CalibrationData;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.progress.ProgressEvent;
import dev.quench.recipe.Recipe;
import dev.quench.recipe.RecipeReader;
import dev.quench.tensor.DType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What one run left isn't taken for another's, and isn't harmed by the attempt. */
class ResumeRefusalTest {
  private static final Recipe RECIPE = Golden.recipe("gptq-w4a16");
  private static final CalibrationData ROWS = Golden.calibration();

  @TempDir Path folder;
  private final Device device = new CpuDevice(2);
  private SortedMap<String, String> left = new TreeMap<>();

  @BeforeEach
  void stopAfterTheFirstLayer() {
    DeterminismTest.stopAfter(0, device, request(Golden.BASE, RECIPE, ROWS, false));
    left = Golden.files(partial());
    assertThat(left).containsOnlyKeys("journal.jsonl", "model.safetensors");
  }

  @AfterEach
  void closeDevice() {
    device.close();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          the options of GPTQ | GPTQModifier: {scheme: W4A16, targets: [Linear], ignore: [lm_head], dampening_frac: 0.02}
          other tensors       | GPTQModifier: {scheme: W8A16, targets: [Linear], ignore: [lm_head]}
          """)
  void anotherRecipe(String difference, String recipe) {
    refuses(request(Golden.BASE, RecipeReader.parse(recipe, "recipe.yaml"), ROWS, true), "recipe");
  }

  /** Without data there is no journal to compare with, and nothing that would be worth keeping. */
  @Test
  void aRecipeThatDoesNotCalibrate() {
    refuses(request(Golden.BASE, Golden.recipe("rtn-w4a16"), ROWS, true), "recipe");
  }

  @Test
  void anotherCalibration() {
    List<int[]> fewer = ROWS.rows().subList(0, 15);
    refuses(
        request(Golden.BASE, RECIPE, new CalibrationData(fewer, "x", List.of()), true),
        "calibration");
  }

  @Test
  void rowsInAnotherOrder() {
    List<int[]> reversed = ROWS.rows().reversed();
    refuses(
        request(Golden.BASE, RECIPE, new CalibrationData(reversed, "x", List.of()), true),
        "calibration");
  }

  @Test
  void anotherModel() throws IOException {
    Path model = copyOfBase();
    Path weights = model.resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(weights);
    bytes[bytes.length - 1] ^= 0x40;
    Files.write(weights, bytes);

    refuses(request(model, RECIPE, ROWS, true), "model");
  }

  @Test
  void anotherOrderOfPropagation() {
    refuses(
        Golden.with(request(Golden.BASE, RECIPE, ROWS, true), Propagation.LAYER, DType.F32, true),
        "order of propagation");
  }

  @Test
  void otherActivations() {
    refuses(
        Golden.with(request(Golden.BASE, RECIPE, ROWS, true), Propagation.STEP, DType.BF16, true),
        "dtype of activations");
  }

  @Test
  void theSameModelElsewhereIsTheSame() throws IOException {
    CompressRequest moved = request(copyOfBase(), RECIPE, ROWS, true);

    Golden.compress(device, moved);

    assertThat(moved.output()).isDirectory();
  }

  /**
   * A run that was killed before the first line was whole finished nothing, so there is nothing to
   * lose.
   */
  @Test
  void aJournalCutInItsFirstLineStartsAnew() throws IOException {
    Files.writeString(partial().resolve("journal.jsonl"), "{\"model\": \"cut sh");
    CompressRequest again = request(Golden.BASE, RECIPE, ROWS, true);

    run(again);

    assertThat(again.output()).isDirectory();
  }

  @ParameterizedTest
  @ValueSource(strings = {"{\"layer\": 1, \n", "3\n", "\n"})
  void aDamagedJournal(String line) throws IOException {
    Files.writeString(partial().resolve("journal.jsonl"), line, StandardOpenOption.APPEND);
    left = Golden.files(partial());

    assertThatThrownBy(() -> run(request(Golden.BASE, RECIPE, ROWS, true)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("journal.jsonl is damaged at byte")
        .hasMessageContaining("start anew");
    assertThat(Golden.files(partial())).isEqualTo(left);
  }

  @Test
  void aLineThatWasCutShortDoesNotCount() throws IOException {
    Path journal = partial().resolve("journal.jsonl");
    String whole = Files.readString(journal);
    assertThat(whole.lines()).hasSize(2);
    CompressRequest request = request(Golden.BASE, RECIPE, ROWS, true);
    Files.write(journal, whole.substring(0, whole.length() - 1).getBytes(StandardCharsets.UTF_8));
    Golden.compress(device, request);
    Path uninterrupted = folder.resolve("uninterrupted");
    Golden.compress(device, Golden.request(RECIPE, uninterrupted));

    assertThat(Golden.files(request.output())).isEqualTo(Golden.files(uninterrupted));
  }

  @Test
  void withoutResumeItIsLeftAlone() {
    assertThatThrownBy(() -> run(request(Golden.BASE, RECIPE, ROWS, false)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(partial().toString())
        .hasMessageContaining("--resume");
    assertThat(Golden.files(partial())).isEqualTo(left);
  }

  private void refuses(CompressRequest request, String difference) {
    List<ProgressEvent> events = new ArrayList<>();
    Compressor compressor =
        new Compressor(
            device, request, CompressionPlan.of(request), events::add, new Cancellation());

    assertThatThrownBy(compressor::run)
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("with another " + difference + ",")
        .hasMessageContaining(partial().toString());
    assertThat(events).as("no advice to repeat what was refused").isEmpty();
    assertThat(Golden.files(partial())).isEqualTo(left);
  }

  private void run(CompressRequest request) {
    Golden.compress(device, request);
  }

  private Path partial() {
    return CheckpointWriter.partialFolder(folder.resolve("out"));
  }

  private Path copyOfBase() throws IOException {
    Path model = Files.createDirectory(folder.resolve("model"));
    try (Stream<Path> files = Files.list(Golden.BASE)) {
      for (Path file : files.toList()) {
        Files.copy(file, model.resolve(file.getFileName().toString()));
      }
    }
    return model;
  }

  private CompressRequest request(Path model, Recipe recipe, CalibrationData rows, boolean resume) {
    CompressRequest request = Golden.request(recipe, folder.resolve("out"));
    return new CompressRequest(
        model,
        request.output(),
        recipe,
        Optional.of(rows),
        request.batchTokens(),
        request.propagation(),
        request.activations(),
        request.maxShardSize(),
        request.maxFallbacks(),
        resume,
        request.resources());
  }
}
