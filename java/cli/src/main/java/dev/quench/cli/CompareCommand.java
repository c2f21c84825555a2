package dev.quench.cli;

import dev.quench.Cancellation;
import dev.quench.InvalidInputException;
import dev.quench.calibration.Batch;
import dev.quench.calibration.CalibrationData;
import dev.quench.device.Device;
import dev.quench.pipeline.Comparison;
import dev.quench.pipeline.LoadedModel;
import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code quench compare}. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    description = "Compares the outputs of two checkpoints of one model on the same tokens.")
final class CompareCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(index = "0", paramLabel = "MODEL", description = "Folder of the original.")
  private Path model = Path.of("");

  @Parameters(
      index = "1",
      paramLabel = "OTHER",
      description = "Folder of what is compared with it.")
  private Path other = Path.of("");

  @Option(
      names = "--calibration",
      required = true,
      paramLabel = "FILE",
      description = "Rows with text, messages or input_ids, or plain text.")
  private Path calibration = Path.of("");

  @Option(
      names = "--max-logits-error",
      paramLabel = "X",
      description = "Exit with 3 if the relative logits error is larger.")
  private @Nullable Double maxLogitsError;

  @Mixin private TokenOptions tokens = new TokenOptions();
  @Mixin private RunOptions run = new RunOptions();

  @Override
  public Integer call() {
    ProgressListener listener = run.progress();
    Cancellation cancellation = StopOnSignal.install();
    LoadedModel base = LoadedModel.open(model);
    LoadedModel compared = LoadedModel.open(other);
    if (!base.architecture().equals(compared.architecture())) {
      throw new InvalidInputException(
          "%s and %s aren't checkpoints of one model: their config.json describe different architectures."
              .formatted(model, other));
    }
    CalibrationData data = tokens.read(calibration, model, base.architecture(), listener);
    List<Batch> batches = Batch.of(data.rows(), tokens.batchTokens());
    try (Device device = run.open(listener)) {
      listener.on(
          new ProgressEvent.Started(
              "comparing " + other + " with " + model, "%,d tokens".formatted(data.tokens())));
      Comparison comparison =
          Comparison.of(
              device,
              base,
              compared,
              batches,
              run.resources(),
              new LayerProgress(listener),
              cancellation);
      print(comparison);
      boolean passed = maxLogitsError == null || comparison.logitsError() <= maxLogitsError;
      return passed ? Main.DONE : Main.GATE;
    }
  }

  private void print(Comparison comparison) {
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    if (run.json()) {
      Map<String, Object> result = new LinkedHashMap<>();
      result.put("logits_error", comparison.logitsError());
      result.put("kl_divergence", comparison.klDivergence());
      result.put("top1_agreement", comparison.topAgreement());
      result.put("layer_errors", comparison.layerErrors());
      result.put("tokens", comparison.tokens());
      out.println(new JsonMapper().writeValueAsString(result));
      return;
    }
    TextTable table = new TextTable("after layer", "relative error");
    for (int i = 0; i < comparison.layerErrors().size(); i++) {
      table.row(
          String.valueOf(i), String.format(Locale.ROOT, "%.6f", comparison.layerErrors().get(i)));
    }
    table.print(out);
    out.println();
    out.printf(
        Locale.ROOT,
        "logits: relative error %.5f, KL %.5f nats, top-1 agreement %.4f (%,d tokens)%n",
        comparison.logitsError(),
        comparison.klDivergence(),
        comparison.topAgreement(),
        comparison.tokens());
  }
}
