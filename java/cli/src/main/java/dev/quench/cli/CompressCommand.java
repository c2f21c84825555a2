package dev.quench.cli;

import dev.quench.Cancellation;
import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import dev.quench.calibration.CalibrationData;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.device.Device;
import dev.quench.model.Architecture;
import dev.quench.pipeline.CompressRequest;
import dev.quench.pipeline.CompressionPlan;
import dev.quench.pipeline.CompressionReport;
import dev.quench.pipeline.Compressor;
import dev.quench.pipeline.PlanEstimate;
import dev.quench.pipeline.Propagation;
import dev.quench.pipeline.SourceModel;
import dev.quench.pipeline.Verification;
import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import dev.quench.quantization.CompressionFormat;
import dev.quench.recipe.Recipe;
import dev.quench.recipe.RecipeReader;
import dev.quench.tensor.DType;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code quench compress}. */
@Command(
    name = "compress",
    mixinStandardHelpOptions = true,
    description = "Compresses a checkpoint to a compressed-tensors checkpoint.")
final class CompressCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Parameters(paramLabel = "MODEL", description = "Folder of a Hugging Face checkpoint.")
  private Path model = Path.of("");

  @Mixin private OutputOptions output = new OutputOptions();

  @Option(
      names = "--scheme",
      paramLabel = "SCHEME",
      description = "A preset for all linears but lm_head, such as W4A16, W8A8, FP8_DYNAMIC.")
  private @Nullable String scheme;

  @Option(
      names = "--method",
      paramLabel = "METHOD",
      description = "How codes are found, with --scheme: rtn or gptq (default: rtn).")
  private Recipe.@Nullable Method method;

  @Option(
      names = "--ignore",
      paramLabel = "NAME",
      description = "With --scheme: leave modules alone, by name or re:PATTERN (default: lm_head).")
  private List<String> ignore = List.of("lm_head");

  @Option(
      names = "--recipe",
      paramLabel = "FILE",
      description = "A recipe in llm-compressor's YAML, instead of --scheme.")
  private @Nullable Path recipeFile;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description =
          "Store all weights so, such as pack-quantized for W4A8 and W4AFP8, as vLLM wants them (default: as llm-compressor does, or what the recipe says).")
  private @Nullable String format;

  @Option(
      names = "--dequantize",
      description =
          "MODEL may be quantized already (compressed-tensors, FP8, ModelOpt, AutoAWQ): start from its dequantized weights.")
  private boolean dequantize;

  @Option(
      names = "--calibration",
      paramLabel = "FILE",
      description =
          "Rows with text, messages or input_ids (.jsonl, .json), or plain text (default: MODEL/calibration.jsonl).")
  private @Nullable Path calibration;

  @Option(
      names = "--evaluate",
      paramLabel = "FILE",
      description = "Text to measure perplexity on, before and after (default: MODEL/eval.txt).")
  private @Nullable Path evaluate;

  @Option(
      names = "--propagate",
      defaultValue = "step",
      paramLabel = "ORDER",
      description =
          "step: one pass, each linear sees its compressed predecessors; layer: llm-compressor's two passes (default: ${DEFAULT-VALUE}).")
  private Propagation propagation = Propagation.STEP;

  /** Dtype that results of the forward pass are rounded to. */
  enum Activations {
    FLOAT32(DType.F32),
    BFLOAT16(DType.BF16);

    private final DType dtype;

    Activations(DType dtype) {
      this.dtype = dtype;
    }
  }

  @Option(
      names = "--activations",
      defaultValue = "float32",
      paramLabel = "DTYPE",
      description =
          "float32, or bfloat16: calibrate on activations rounded as a bf16 model has them (default: ${DEFAULT-VALUE}).")
  private Activations activations = Activations.FLOAT32;

  @Option(
      names = "--max-fallbacks",
      defaultValue = "0",
      paramLabel = "N",
      description =
          "Modules that may fall back to rtn when their Hessian can't be factored (default: ${DEFAULT-VALUE}).")
  private int maxFallbacks;

  @Option(
      names = "--resume",
      description = "Go on with what a killed run of the same command left.")
  private boolean resume;

  @Option(names = "--dry-run", description = "Print the plan, and do nothing.")
  private boolean dryRun;

  @Mixin private TokenOptions tokens = new TokenOptions();
  @Mixin private RunOptions run = new RunOptions();

  @Override
  public Integer call() {
    ProgressListener listener = run.progress();
    Cancellation cancellation = StopOnSignal.install();
    if (maxFallbacks < 0) {
      throw new InvalidInputException("--max-fallbacks can't be negative.");
    }
    CheckpointWriter.checkOutput(output.folder(), model);
    CompressRequest draft = request(formatted(recipe()), Optional.empty());
    CompressionPlan plan =
        CompressionPlan.of(
            draft, dequantize ? SourceModel.dequantized(model) : SourceModel.open(model));
    notes(draft.recipe()).forEach(note -> listener.on(new ProgressEvent.Note(note)));
    Optional<CalibrationData> data = calibrationData(plan, listener);
    CompressRequest request = request(draft.recipe(), data);
    if (evaluate != null) {
      plan.architecture();
    }
    try (Device device = run.open(listener)) {
      PlanEstimate estimate = PlanEstimate.of(plan, request, device);
      if (dryRun) {
        new CompressionPrinter(out(), run.json()).plan(plan, estimate);
        return Main.DONE;
      }
      estimate.requireRoom(output.folder(), SystemMemory.total(), device.memoryLimit());
      Optional<EvaluationText> text =
          evaluationText(plan)
              .map(file -> EvaluationText.read(file, model, plan.architecture(), tokens));
      listener.on(new ProgressEvent.Started("compressing " + model, estimate.oneLine()));
      return compress(device, request, plan, text, listener, cancellation);
    }
  }

  private int compress(
      Device device,
      CompressRequest request,
      CompressionPlan plan,
      Optional<EvaluationText> evaluation,
      ProgressListener listener,
      Cancellation cancellation) {
    CompressionReport report = new Compressor(device, request, plan, listener, cancellation).run();
    Verification verification = Verification.of(output.folder());
    Optional<PerplexityPair> perplexities =
        evaluation.map(
            text ->
                PerplexityPair.measure(
                    device, model, output.folder(), text, run.resources(), cancellation));
    CompressionPrinter printer = new CompressionPrinter(out(), run.json());
    printer.report(report, perplexities);
    verification.problems().forEach(problem -> printer.problem(output.folder(), problem));
    return verification.problems().isEmpty() ? Main.DONE : Main.FAILED;
  }

  private CompressRequest request(Recipe recipe, Optional<CalibrationData> data) {
    return new CompressRequest(
        model,
        output.folder(),
        recipe,
        data,
        tokens.batchTokens(),
        propagation,
        activations.dtype,
        output.maxShardSize(),
        maxFallbacks,
        resume,
        run.resources(CheckpointWriter.partialFolder(output.folder())));
  }

  private Recipe recipe() {
    if (recipeFile != null) {
      if (scheme != null || method != null) {
        throw new InvalidInputException(
            "--recipe says what --scheme and --method say too; give one or the other.");
      }
      return RecipeReader.read(recipeFile);
    }
    if (scheme == null) {
      throw new InvalidInputException(
          "what to do? Give --scheme, such as --scheme W4A16 --method gptq, or --recipe FILE.");
    }
    return Recipe.of(scheme, Optional.ofNullable(method).orElse(Recipe.Method.RTN), ignore);
  }

  private Recipe formatted(Recipe recipe) {
    String name = format;
    if (name == null) {
      return recipe;
    }
    CompressionFormat forced =
        CompressionFormat.of(name)
            .filter(known -> known != CompressionFormat.MIXED_PRECISION)
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        "--format \"%s\" doesn't exist.%s Legal are %s."
                            .formatted(
                                name,
                                NearMatches.hint(name, CompressionFormat.names()),
                                String.join(", ", CompressionFormat.names()))));
    return recipe.withFormat(forced, "--format " + name);
  }

  private static List<String> notes(Recipe recipe) {
    return recipe.modifiers().stream().flatMap(modifier -> modifier.notes().stream()).toList();
  }

  private Optional<CalibrationData> calibrationData(
      CompressionPlan plan, ProgressListener listener) {
    if (!plan.needsCalibration()) {
      if (calibration != null) {
        listener.on(
            new ProgressEvent.Warning("this recipe needs no data; --calibration isn't used."));
      }
      return Optional.empty();
    }
    Path file =
        Optional.ofNullable(calibration)
            .or(() -> besideModel("calibration.jsonl", listener))
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        "this recipe needs calibration data: give --calibration FILE (.jsonl, .json or .txt)."));
    Architecture architecture = plan.architecture();
    return Optional.of(tokens.read(file, model, architecture, listener));
  }

  private Optional<Path> evaluationText(CompressionPlan plan) {
    if (evaluate != null) {
      return Optional.of(evaluate);
    }
    if (plan.family().isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(model.resolve("eval.txt")).filter(Files::isRegularFile);
  }

  private Optional<Path> besideModel(String name, ProgressListener listener) {
    Path file = model.resolve(name);
    if (!Files.isRegularFile(file)) {
      return Optional.empty();
    }
    listener.on(
        new ProgressEvent.Note(
            "Calibrating on %s, which came with the model; --calibration chooses another."
                .formatted(file)));
    return Optional.of(file);
  }

  private PrintWriter out() {
    return spec == null ? new PrintWriter(System.out, true) : spec.commandLine().getOut();
  }
}
