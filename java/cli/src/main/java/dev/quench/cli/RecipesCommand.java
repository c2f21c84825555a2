package dev.quench.cli;

import dev.quench.pipeline.SchemeNames;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.quantization.QuantizationScheme;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code quench recipes}. */
@Command(
    name = "recipes",
    mixinStandardHelpOptions = true,
    description = "Lists the presets and the example recipes, or prints one of these.")
final class RecipesCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(
      arity = "0..1",
      paramLabel = "NAME",
      description = "An example, to be printed: save it, change it, and give it to --recipe.")
  private @Nullable String name;

  @Override
  public Integer call() {
    PrintWriter out =
        spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
    if (name != null) {
      out.print(ExampleRecipes.text(name));
      out.flush();
    } else {
      list(out);
    }
    return Main.DONE;
  }

  private static void list(PrintWriter out) {
    out.println("Presets, for --scheme and for scheme in a recipe:");
    TextTable presets = new TextTable("preset", "weights", "activations", "format");
    for (String preset : PresetSchemes.names()) {
      QuantizationScheme scheme = PresetSchemes.find(preset).orElseThrow();
      presets.row(
          preset,
          scheme.weights().map(SchemeNames::of).orElse("-"),
          scheme.inputActivations().map(RecipesCommand::activations).orElse("-"),
          scheme.effectiveFormat().configName());
    }
    presets.print(out);
    out.println();
    out.println("Example recipes; `quench recipes NAME` prints one:");
    TextTable examples = new TextTable("name", "what it does");
    ExampleRecipes.NAMES.forEach(example -> examples.row(example, ExampleRecipes.summary(example)));
    examples.print(out);
  }

  private static String activations(QuantizationArgs args) {
    return SchemeNames.of(args)
        + (args.dynamic() == Dynamic.DYNAMIC ? "" : ", scales by calibration (not yet)");
  }
}
