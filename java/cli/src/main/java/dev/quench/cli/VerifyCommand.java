package dev.quench.cli;

import dev.quench.pipeline.Verification;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code quench verify}. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    description = "Checks a checkpoint: files, index, dtypes, shapes, scales.")
final class VerifyCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "MODEL", description = "Folder of a checkpoint.")
  private Path model = Path.of("");

  @Override
  public Integer call() {
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    Verification verification = Verification.of(model);
    verification.problems().forEach(problem -> out.println("problem: " + problem));
    if (verification.problems().isEmpty()) {
      out.printf("%s is sound: %,d tensors%n", model, verification.tensors());
      return Main.DONE;
    }
    return Main.INVALID;
  }
}
