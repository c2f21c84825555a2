package dev.quench.cli;

import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.format.SourceFormat;
import dev.quench.pipeline.Inspection;
import dev.quench.pipeline.LoadedModel;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** {@code quench inspect}. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    description = "Lists a checkpoint's tensors, schemes, and bits per weight.")
final class InspectCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "MODEL", description = "Folder of a checkpoint.")
  private Path model = Path.of("");

  @Option(names = "--all", description = "A line for each module, not for each scheme.")
  private boolean all;

  @Option(names = "--json", description = "The result as a JSON object.")
  private boolean json;

  @Override
  public Integer call() {
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    LoadedModel loaded = LoadedModel.open(model);
    Inspection inspection = Inspection.of(loaded);
    if (json) {
      printJson(out, loaded, inspection);
    } else {
      print(out, loaded, inspection);
    }
    return Main.DONE;
  }

  private void print(PrintWriter out, LoadedModel loaded, Inspection inspection) {
    out.printf(
        Locale.ROOT,
        "%s%s, %s%n%n",
        loaded.modelType(),
        loaded
            .family()
            .map(family -> ", %d layers, hidden %d".formatted(family.layers(), family.hiddenSize()))
            .orElse(""),
        loaded
            .quantization()
            .map(config -> "compressed (" + config.format().configName() + ")")
            .orElseGet(() -> uncompressed(loaded)));
    TextTable table;
    if (all) {
      table = new TextTable("module", "shape", "scheme", "bytes", "bits/weight");
      for (Inspection.InspectedModule module : inspection.modules()) {
        table.row(
            module.name(),
            module.rows() + "×" + module.columns(),
            module.scheme(),
            "%,d".formatted(module.bytes()),
            String.format(Locale.ROOT, "%.3f", module.bitsPerWeight()));
      }
      for (TensorInfo tensor : inspection.others()) {
        table.row(
            tensor.name(),
            tensor.shape().toString(),
            tensor.dtype().safetensorsName(),
            "%,d".formatted(tensor.bytes()),
            "-");
      }
    } else {
      table = schemes(inspection);
    }
    table.print(out);
    out.printf(
        Locale.ROOT,
        "%n%,d tensors, %s; linears: %.3f bits per weight%n",
        loaded.checkpoint().tensors().size(),
        ByteSize.format(inspection.bytes()),
        (double) inspection.weightBits() / inspection.weights());
  }

  private static String uncompressed(LoadedModel loaded) {
    return SourceFormat.of(Checkpoint.open(loaded.checkpoint().folder()))
        .map(format -> format.title() + "; shown as it is dequantized")
        .orElse("not compressed");
  }

  private static TextTable schemes(Inspection inspection) {
    record Sum(int modules, long weights, long bytes) {
      Sum plus(Inspection.InspectedModule module) {
        return new Sum(
            modules + 1, weights + module.rows() * module.columns(), bytes + module.bytes());
      }
    }
    Map<String, Sum> sums = new TreeMap<>();
    for (Inspection.InspectedModule module : inspection.modules()) {
      sums.merge(module.scheme(), new Sum(0, 0, 0).plus(module), (a, _) -> a.plus(module));
    }
    TextTable table = new TextTable("linears", "modules", "weights", "bytes", "bits/weight");
    sums.forEach(
        (scheme, sum) ->
            table.row(
                scheme,
                String.valueOf(sum.modules),
                "%,d".formatted(sum.weights),
                "%,d".formatted(sum.bytes),
                String.format(Locale.ROOT, "%.3f", 8.0 * sum.bytes / sum.weights)));
    return table.row(
        "other tensors",
        String.valueOf(inspection.others().size()),
        "-",
        "%,d".formatted(inspection.others().stream().mapToLong(TensorInfo::bytes).sum()),
        "-");
  }

  private static void printJson(PrintWriter out, LoadedModel loaded, Inspection inspection) {
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("model_type", loaded.modelType());
    result.put("tensors", loaded.checkpoint().tensors().size());
    result.put("bytes", inspection.bytes());
    result.put("bits_per_weight", (double) inspection.weightBits() / inspection.weights());
    Map<String, Object> modules = new LinkedHashMap<>();
    for (Inspection.InspectedModule module : inspection.modules()) {
      modules.put(
          module.name(),
          Map.of(
              "scheme", module.scheme(),
              "rows", module.rows(),
              "columns", module.columns(),
              "bytes", module.bytes()));
    }
    result.put("modules", modules);
    out.println(new JsonMapper().writeValueAsString(result));
  }
}
