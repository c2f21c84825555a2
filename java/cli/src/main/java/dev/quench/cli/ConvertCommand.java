package dev.quench.cli;

import dev.quench.pipeline.Conversion;
import dev.quench.pipeline.Verification;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
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

/** {@code quench convert}. */
@Command(
    name = "convert",
    mixinStandardHelpOptions = true,
    description = {
      "Dequantizes a checkpoint: writes it as a plain one, in the dtype that the model had.",
      "Reads compressed-tensors, FP8 (DeepSeek, transformers), ModelOpt (NVFP4, FP8) and AutoAWQ."
    })
final class ConvertCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "MODEL", description = "Folder of a quantized checkpoint.")
  private Path model = Path.of("");

  @Mixin private OutputOptions output = new OutputOptions();

  @Mixin private ThreadOptions threads = new ThreadOptions();

  @Option(names = "--json", description = "The result as a JSON object.")
  private boolean json;

  @Override
  public Integer call() {
    Conversion done =
        Conversion.run(
            model, output.folder(), output.maxShardSize(), threads.count(), StopOnSignal.install());
    Verification verification = Verification.of(output.folder());
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    if (json) {
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("output", output.folder().toString());
      line.put("from", done.format().title());
      line.put("weights", done.weights());
      line.put("source_bytes", done.sourceBytes());
      line.put("output_bytes", done.outputBytes());
      line.put("problems", verification.problems());
      out.println(new JsonMapper().writeValueAsString(line));
    } else {
      out.printf(
          "%s: %,d weights dequantized from %s, %s became %s%n",
          output.folder(),
          done.weights(),
          done.format().title(),
          ByteSize.format(done.sourceBytes()),
          ByteSize.format(done.outputBytes()));
      verification.problems().forEach(problem -> out.println("problem: " + problem));
    }
    return verification.problems().isEmpty() ? Main.DONE : Main.FAILED;
  }
}
