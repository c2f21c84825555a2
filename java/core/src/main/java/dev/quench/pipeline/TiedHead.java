package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.format.WeightLayout;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What becomes of an output projection that shares the embedding's weight. If both are compressed
 * alike they go on sharing; if they come to differ, each gets tensors of its own.
 *
 * @param name of the head, if it gets tensors of its own
 * @param source of its weight
 * @param modules the plans of all modules that are to be compressed
 */
record TiedHead(Optional<String> name, String source, Map<String, ModulePlan> modules) {

  /**
   * @param modules the plans of all modules that have a scheme
   * @throws InvalidInputException if they come to differ in a model that there is no description of
   */
  static TiedHead of(ModelModules model, Map<String, ModulePlan> modules, String configFile) {
    if (model.tiedHead().isEmpty()) {
      return new TiedHead(Optional.empty(), model.embedding(), modules);
    }
    String head = model.tiedHead().get().name();
    Optional<ModulePlan> ofHead = Optional.ofNullable(modules.get(head));
    Optional<ModulePlan> ofEmbedding =
        Optional.ofNullable(modules.get(ModelModules.moduleOf(model.embedding())));
    if (ofHead.isEmpty() && ofEmbedding.isEmpty()) {
      return new TiedHead(Optional.empty(), model.embedding(), modules);
    }
    if (ofHead.isPresent() && ofEmbedding.isPresent() && alike(ofHead.get(), ofEmbedding.get())) {
      Map<String, ModulePlan> others = new LinkedHashMap<>(modules);
      others.remove(head);
      return new TiedHead(Optional.empty(), model.embedding(), others);
    }
    if (model.architecture().isEmpty()) {
      throw new InvalidInputException(
          "%s: %s may share the weight of %s, and only one of them is to be quantized so; add both to the recipe's ignore list."
              .formatted(configFile, head, ModelModules.moduleOf(model.embedding())));
    }
    return new TiedHead(Optional.of(head), model.embedding(), modules);
  }

  /** An embedding has no input that could be quantized. */
  private static boolean alike(ModulePlan head, ModulePlan embedding) {
    WeightLayout ofHead = head.layout();
    WeightLayout ofEmbedding = embedding.layout();
    return ofHead.args().equals(ofEmbedding.args())
        && ofHead.format() == ofEmbedding.format()
        && head.input().isEmpty();
  }

  /** Whether head and embedding no longer share a weight. */
  boolean untied() {
    return name.isPresent();
  }

  /** Adds the head's own tensors: its codes and scales, or a copy of the embedding. */
  void addTo(Checkpoint checkpoint, List<OutputTensor> outputs, List<TensorInfo> copied) {
    if (name.isEmpty()) {
      return;
    }
    ModulePlan plan = modules.get(name.get());
    if (plan != null) {
      outputs.addAll(plan.tensors());
      return;
    }
    TensorInfo embedding = checkpoint.require(source);
    TensorInfo copy = embedding.withName(name.get() + ".weight");
    copied.add(copy);
    outputs.add(new OutputTensor(copy.name(), copy.dtype(), copy.shape()));
  }
}
