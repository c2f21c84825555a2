package dev.quench.cli;

import dev.quench.Cancellation;
import dev.quench.calibration.Batch;
import dev.quench.calibration.CalibrationData;
import dev.quench.device.Device;
import dev.quench.pipeline.LoadedModel;
import dev.quench.pipeline.Perplexity;
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

/** {@code quench evaluate}. */
@Command(
    name = "evaluate",
    mixinStandardHelpOptions = true,
    description = "Measures the perplexity of a model, compressed or not, on a text.")
final class EvaluateCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "MODEL", description = "Folder of a checkpoint.")
  private Path model = Path.of("");

  @Option(
      names = "--text",
      required = true,
      paramLabel = "FILE",
      description = "Text, or rows with text or input_ids; joined and cut into rows.")
  private Path text = Path.of("");

  @Mixin private TokenOptions tokens = new TokenOptions();
  @Mixin private RunOptions run = new RunOptions();

  @Override
  public Integer call() {
    ProgressListener listener = run.progress();
    Cancellation cancellation = StopOnSignal.install();
    LoadedModel loaded = LoadedModel.open(model);
    CalibrationData data = tokens.readText(text, model, loaded.architecture());
    List<Batch> batches = Batch.of(data.rows(), tokens.batchTokens());
    long start = System.nanoTime();
    try (Device device = run.open(listener)) {
      listener.on(
          new ProgressEvent.Started("evaluating " + model, "%,d tokens".formatted(data.tokens())));
      Perplexity perplexity =
          Perplexity.of(
              device, loaded, batches, run.resources(), new LayerProgress(listener), cancellation);
      print(perplexity, data, (System.nanoTime() - start) / 1e9);
      return Main.DONE;
    }
  }

  private void print(Perplexity perplexity, CalibrationData data, double seconds) {
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    if (run.json()) {
      Map<String, Object> result = new LinkedHashMap<>();
      result.put("perplexity", perplexity.value());
      result.put("predicted_tokens", perplexity.predicted());
      result.put("rows", data.rows().size());
      result.put("seconds", seconds);
      out.println(new JsonMapper().writeValueAsString(result));
    } else {
      out.printf(
          Locale.ROOT,
          "perplexity %.4f (%,d tokens predicted in %,d rows, %.1f s)%n",
          perplexity.value(),
          perplexity.predicted(),
          data.rows().size(),
          seconds);
    }
  }
}
