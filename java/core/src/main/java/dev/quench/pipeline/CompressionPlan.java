package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.OutputLayout;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.format.WeightLayout;
import dev.quench.model.Architecture;
import dev.quench.model.ArchitectureReader;
import dev.quench.model.LinearSpec;
import dev.quench.quantization.QuantizationArgs;
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
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/**
 * Everything that is known of a compression before a weight is read: which module becomes what,
 * every tensor of the output, and what it takes.
 *
 * @param modules what is to become of each compressed module, by name, in the order of the model
 * @param copied tensors that are carried over as they are
 * @param quantizationConfig goes into the output's config.json
 */
public record CompressionPlan(
    Checkpoint checkpoint,
    Architecture architecture,
    SchemeAssignment assignment,
    Map<String, ModulePlan> modules,
    List<TensorInfo> copied,
    OutputLayout layout,
    ObjectNode quantizationConfig) {

  /**
   * @throws InvalidInputException if the recipe doesn't fit the model
   */
  public static CompressionPlan of(CompressRequest request) {
    Checkpoint checkpoint = Checkpoint.open(request.model());
    String configFile = request.model().resolve("config.json").toString();
    if (checkpoint.config().has("quantization_config")) {
      throw new InvalidInputException(
          configFile
              + " has a quantization_config: the model is compressed already. Start from the original checkpoint.");
    }
    Architecture architecture = ArchitectureReader.read(checkpoint.config(), configFile);
    Map<String, LinearSpec> linears = linears(architecture);
    linears.values().forEach(linear -> requireWeight(checkpoint, architecture, linear));
    SchemeAssignment assignment =
        SchemeAssignment.assign(request.recipe(), moduleTree(architecture, linears));
    Map<String, ModulePlan> modules = modulePlans(checkpoint, architecture, linears, assignment);
    requireSharedScales(linears.keySet(), modules);

    List<TensorInfo> copied = new ArrayList<>();
    List<OutputTensor> outputs = new ArrayList<>();
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      ModulePlan plan = modules.get(moduleOf(tensor.name()));
      if (plan != null && tensor.name().equals(plan.linear().weight())) {
        outputs.addAll(plan.layout().tensors());
      } else {
        copied.add(tensor);
        outputs.add(new OutputTensor(tensor.name(), tensor.dtype(), tensor.shape()));
      }
    }
    return new CompressionPlan(
        checkpoint,
        architecture,
        assignment,
        modules,
        List.copyOf(copied),
        OutputLayout.plan(outputs, request.maxShardSize()),
        QuantizationConfig.of(assignment).toJson());
  }

  /** Whether a modifier needs to see activations. */
  public boolean needsCalibration() {
    return modules.values().stream().anyMatch(module -> module.modifier() instanceof GptqSpec);
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

  private static Map<String, LinearSpec> linears(Architecture architecture) {
    Map<String, LinearSpec> linears = new LinkedHashMap<>();
    architecture.linears().forEach(linear -> linears.put(linear.name(), linear));
    return linears;
  }

  /** All modules that a target can name, in the order of the model's tree. */
  private static List<NamedModule> moduleTree(
      Architecture architecture, Map<String, LinearSpec> linears) {
    List<NamedModule> tree = new ArrayList<>();
    tree.add(new NamedModule(moduleOf(architecture.embedding()), "Embedding"));
    linears.keySet().forEach(name -> tree.add(NamedModule.linear(name)));
    return tree;
  }

  private static void requireWeight(
      Checkpoint checkpoint, Architecture architecture, LinearSpec linear) {
    boolean tied = linear.equals(architecture.head()) && architecture.tiedEmbeddings();
    if (tied && !checkpoint.tensors().containsKey(linear.weight())) {
      return;
    }
    TensorInfo tensor = checkpoint.require(linear.weight());
    if (tensor.shape().rank() != 2
        || tensor.shape().dim(0) != linear.outFeatures()
        || tensor.shape().dim(1) != linear.inFeatures()) {
      throw new InvalidInputException(
          "%s in %s: its shape is %s, but config.json makes it [%d, %d]; are the two of the same model?"
              .formatted(
                  tensor.name(),
                  tensor.file(),
                  tensor.shape(),
                  linear.outFeatures(),
                  linear.inFeatures()));
    }
  }

  private static Map<String, ModulePlan> modulePlans(
      Checkpoint checkpoint,
      Architecture architecture,
      Map<String, LinearSpec> linears,
      SchemeAssignment assignment) {
    Map<String, ModulePlan> modules = new LinkedHashMap<>();
    for (SchemeAssignment.Assigned assigned : assignment.assigned().values()) {
      String name = assigned.module().name();
      if (assigned.scheme().weights().isEmpty()) {
        continue;
      }
      LinearSpec linear = linears.get(name);
      if (linear == null) {
        throw new InvalidInputException(
            name
                + " is an embedding, and quantizing embeddings isn't supported yet; add it to the recipe's ignore list.");
      }
      if (linear.equals(architecture.head()) && architecture.tiedEmbeddings()) {
        throw new InvalidInputException(
            "lm_head shares its weight with the embedding (tie_word_embeddings), so it can't be quantized by itself; add lm_head to the recipe's ignore list.");
      }
      TensorInfo weight = checkpoint.require(linear.weight());
      if (!weight.dtype().isWeightFloat() || weight.dtype() == DType.F64) {
        throw new InvalidInputException(
            "%s in %s is %s; Quench compresses weights of F32, BF16 and F16."
                .formatted(weight.name(), weight.file(), weight.dtype()));
      }
      QuantizationArgs args = assigned.scheme().weights().get();
      if (assigned.modifier() instanceof GptqSpec) {
        SchemeChecks.requireGptq(args, name);
      }
      SchemeChecks.checkFits(args, name, linear.outFeatures(), linear.inFeatures());
      WeightLayout layout =
          new WeightLayout(
              name,
              linear.outFeatures(),
              linear.inFeatures(),
              weight.dtype(),
              args,
              assigned.scheme().effectiveFormat());
      modules.put(name, new ModulePlan(linear, assigned.modifier(), args, layout));
    }
    return modules;
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

  static String moduleOf(String tensor) {
    int dot = tensor.lastIndexOf('.');
    return dot < 0 ? tensor : tensor.substring(0, dot);
  }
}
