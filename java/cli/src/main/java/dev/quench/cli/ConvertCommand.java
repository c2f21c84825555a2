package dev.quench.cli;

import dev.quench.InvalidInputException;
import dev.quench.pipeline.Conversion;
import dev.quench.pipeline.Verification;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
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

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "OUT",
      description = "Folder to make; it must not exist, or be empty.")
  private Path output = Path.of("");

  @Option(
      names = "--max-shard-size",
      defaultValue = "5GB",
      converter = ByteSize.Converter.class,
      paramLabel = "SIZE",
      description = "Most bytes of a weight file (default: ${DEFAULT-VALUE}).")
  private ByteSize maxShardSize = new ByteSize(5_000_000_000L);

  @Option(
      names = "--threads",
      description = "Worker threads (default: one per processor). Results don't depend on it.",
      paramLabel = "N")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(names = "--json", description = "The result as a JSON object.")
  private boolean json;

  @Override
  public Integer call() {
    if (threads < 1 || threads > 1024) {
      throw new InvalidInputException("--threads must be from 1 to 1024, not " + threads + ".");
    }
    Conversion done =
        Conversion.run(model, output, maxShardSize.bytes(), threads, StopOnSignal.install());
    Verification verification = Verification.of(output);
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    if (json) {
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("output", output.toString());
      line.put("from", done.format().title());
      line.put("weights", done.weights());
      line.put("source_bytes", done.sourceBytes());
      line.put("output_bytes", done.outputBytes());
      line.put("problems", verification.problems());
      out.println(new JsonMapper().writeValueAsString(line));
    } else {
      out.printf(
          "%s: %,d weights dequantized from %s, %s became %s%n",
          output,
          done.weights(),
          done.format().title(),
          ByteSize.format(done.sourceBytes()),
          ByteSize.format(done.outputBytes()));
      verification.problems().forEach(problem -> out.println("problem: " + problem));
    }
    return verification.problems().isEmpty() ? Main.DONE : Main.FAILED;
  }
}
