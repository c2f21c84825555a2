package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.OutputLayout;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.format.ActivationLayout;
import dev.quench.format.WeightLayout;
import dev.quench.model.Architecture;
import dev.quench.model.ArchitectureReader;
import dev.quench.model.LinearSpec;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.WeightObserver;
import dev.quench.recipe.GptqSpec;
import dev.quench.recipe.NamedModule;
import dev.quench.recipe.QuantizationConfig;
import dev.quench.recipe.SchemeAssignment;
import dev.quench.recipe.SchemeChecks;
import dev.quench.tensor.DType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/**
 * Everything that is known of a compression before a weight is read: which module becomes what,
 * every tensor of the output, and what it takes.
 *
 * @param checkpoint the original, experts taken apart
 * @param family the description of the model's family; without one weights can only be rounded to
 *     nearest
 * @param modules what is to become of each compressed module, by name, in the order of the model
 * @param attention how the states of attention modules are quantized, by the modules' names; none
 *     if they aren't
 * @param copied tensors that are carried over as they are
 * @param config the output's config.json
 */
public record CompressionPlan(
    Checkpoint checkpoint,
    Optional<Architecture> family,
    SchemeAssignment assignment,
    Map<String, ModulePlan> modules,
    Map<String, AttentionPlan> attention,
    List<TensorInfo> copied,
    OutputLayout layout,
    ObjectNode config) {

  /**
   * @throws InvalidInputException if the model is quantized already, or the recipe doesn't fit it
   */
  public static CompressionPlan of(CompressRequest request) {
    return of(request, SourceModel.open(request.model()));
  }

  /**
   * @param original the request's model, dequantized if it has to be
   * @throws InvalidInputException if the recipe doesn't fit the model
   */
  public static CompressionPlan of(CompressRequest request, Checkpoint original) {
    String configFile = request.model().resolve("config.json").toString();
    FusedExperts experts = FusedExperts.of(original);
    ModelModules model = ModelModules.of(experts);
    SchemeAssignment assignment = SchemeAssignment.assign(request.recipe(), model.tree());
    Map<String, ModulePlan> modules = modulePlans(experts.checkpoint(), model, assignment);
    requireSharedScales(model.matrices().keySet(), modules);
    TiedHead head = TiedHead.of(model, modules, configFile);

    List<TensorInfo> copied = new ArrayList<>();
    List<OutputTensor> outputs = new ArrayList<>();
    for (TensorInfo tensor : original.tensors().values()) {
      for (TensorInfo part : needed(tensor, experts, head.modules())) {
        ModulePlan plan = head.modules().get(ModelModules.moduleOf(part.name()));
        if (plan != null && part.name().equals(plan.source())) {
          outputs.addAll(plan.tensors());
        } else {
          copied.add(part);
          outputs.add(new OutputTensor(part.name(), part.dtype(), part.shape()));
        }
      }
    }
    head.addTo(experts.checkpoint(), outputs, copied);
    Map<String, AttentionPlan> attention =
        AttentionPlan.of(experts.checkpoint(), model.architecture(), assignment);
    attention.values().forEach(plan -> outputs.addAll(plan.tensors()));
    CompressionPlan plan =
        new CompressionPlan(
            experts.checkpoint(),
            model.architecture(),
            assignment,
            head.modules(),
            attention,
            List.copyOf(copied),
            OutputLayout.plan(outputs, request.maxShardSize()),
            config(original, assignment, head));
    if (plan.needsCalibration()) {
      plan.architecture();
    }
    return plan;
  }

  private static ObjectNode config(
      Checkpoint original, SchemeAssignment assignment, TiedHead head) {
    ObjectNode config = original.config();
    if (head.untied()) {
      config.put("tie_word_embeddings", false);
    }
    config.set("quantization_config", QuantizationConfig.of(assignment).toJson());
    return config;
  }

  /** What there is a description of. */
  public Architecture architecture() {
    // Refuses the family, by a message that names those that are known.
    return family.orElseGet(() -> ArchitectureReader.read(checkpoint));
  }

  /** Whether a modifier needs to see activations. */
  public boolean needsCalibration() {
    return !attention.isEmpty() || modules.values().stream().anyMatch(ModulePlan::isCalibrated);
  }

  /** The plan of a compressed module. */
  ModulePlan module(String name) {
    ModulePlan module = modules.get(name);
    if (module == null) {
      throw new IllegalArgumentException(name + " isn't compressed");
    }
    return module;
  }

  /** Names of all tensors of the output. */
  Set<String> outputTensors() {
    return layout.names();
  }

  boolean isOutputTensor(String name) {
    return layout.names().contains(name);
  }

  /** The tensor, or its experts if some of them are compressed. */
  private static List<TensorInfo> needed(
      TensorInfo tensor, FusedExperts experts, Map<String, ModulePlan> modules) {
    List<TensorInfo> parts = experts.parts().getOrDefault(tensor.name(), List.of());
    boolean compressed =
        parts.stream().anyMatch(part -> modules.containsKey(ModelModules.moduleOf(part.name())));
    return compressed ? parts : List.of(tensor);
  }

  private static Map<String, ModulePlan> modulePlans(
      Checkpoint checkpoint, ModelModules model, SchemeAssignment assignment) {
    Map<String, ModulePlan> modules = new LinkedHashMap<>();
    for (SchemeAssignment.Assigned assigned : assignment.assigned().values()) {
      String name = assigned.module().name();
      LinearSpec matrix = model.matrices().get(name);
      requireWeights(assigned);
      if (assigned.module().isAttention()) {
        continue;
      }
      if (matrix == null) {
        throw new InvalidInputException(
            "%s holds the weights of experts transposed, which Quench doesn't compress yet; add \"re:.*experts.*\" to the recipe's ignore list to leave them as they are."
                .formatted(name));
      }
      QuantizationArgs args = assigned.scheme().weights().orElseThrow();
      if (assigned.modifier() instanceof GptqSpec) {
        SchemeChecks.requireGptq(args, name);
      }
      if (assigned.modifier() instanceof GptqSpec || WeightObserver.weighs(args)) {
        requireInput(assigned.module());
      }
      TensorInfo weight = checkpoint.require(model.source(matrix));
      if (!weight.dtype().isWeightFloat() || weight.dtype() == DType.F64) {
        throw new InvalidInputException(
            "%s in %s is %s; Quench compresses weights of F32, BF16 and F16."
                .formatted(weight.name(), weight.file(), weight.dtype()));
      }
      SchemeChecks.checkFits(args, name, matrix.outFeatures(), matrix.inFeatures());
      WeightLayout layout =
          new WeightLayout(
              name,
              matrix.outFeatures(),
              matrix.inFeatures(),
              weight.dtype(),
              args,
              assigned.scheme().effectiveFormat());
      modules.put(
          name,
          new ModulePlan(
              matrix, weight.name(), assigned.modifier(), args, layout, input(assigned, layout)));
    }
    return modules;
  }

  /** What is stored of the input; an embedding's are the ids of tokens. */
  private static Optional<ActivationLayout> input(
      SchemeAssignment.Assigned assigned, WeightLayout weight) {
    NamedModule module = assigned.module();
    return assigned
        .scheme()
        .inputActivations()
        .filter(args -> !module.className().equals(NamedModule.EMBEDDING))
        .map(
            args ->
                new ActivationLayout(
                    module.name() + ActivationLayout.INPUT, args, 1, weight.scaleDtype()))
        .filter(layout -> !layout.tensors().isEmpty());
  }

  /** Only attention is quantized without weights. */
  private static void requireWeights(SchemeAssignment.Assigned assigned) {
    boolean weights = assigned.scheme().weights().isPresent();
    if (weights == assigned.module().isAttention()) {
      throw new InvalidInputException(
          weights
              ? "%s is of class %s, which has no weights of its own; give its config group input_activations only."
                  .formatted(assigned.module().name(), assigned.module().className())
              : "%s: its config group has no weights; only attention is quantized by input_activations alone."
                  .formatted(assigned.module().name()));
    }
  }

  private static void requireInput(NamedModule module) {
    if (module.className().equals(NamedModule.EMBEDDING)) {
      throw new InvalidInputException(
          "%s is an embedding, which has no input to calibrate on; quantize it by a QuantizationModifier with another observer than imatrix_mse, or add it to the modifier's ignore list."
              .formatted(module.name()));
    }
  }

  /**
   * @throws InvalidInputException if a module has a global scale, which those that runtimes join
   *     with it must share, but one of them has none
   */
  private static void requireSharedScales(Set<String> linears, Map<String, ModulePlan> modules) {
    FusedModules.sets(linears)
        .forEach(
            (name, set) -> {
              if (!hasGlobalScale(modules, name)) {
                return;
              }
              for (String other : set) {
                if (!hasGlobalScale(modules, other)) {
                  throw new InvalidInputException(
                      "%s is to be NVFP4 and %s isn't, but runtimes join the two to one matrix with one global scale; give both the same scheme."
                          .formatted(name, other));
                }
              }
            });
  }

  private static boolean hasGlobalScale(Map<String, ModulePlan> modules, String name) {
    ModulePlan module = modules.get(name);
    return module != null && module.layout().hasGlobalScale();
  }
}
