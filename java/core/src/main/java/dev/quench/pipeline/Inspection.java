package dev.quench.pipeline;

import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.format.ActivationLayout;
import dev.quench.format.WeightLayout;
import dev.quench.model.LinearSpec;
import dev.quench.recipe.NamedModule;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What a checkpoint consists of.
 *
 * @param modules the linears, in the model's order
 * @param others all other tensors
 * @param bytes of all tensors
 * @param weights how many weights the linears have
 * @param weightBits how many bits the linears' tensors take, scales and zero points included
 */
public record Inspection(
    List<InspectedModule> modules,
    List<TensorInfo> others,
    long bytes,
    long weights,
    long weightBits) {

  /**
   * A linear.
   *
   * @param scheme such as {@code int4 group 128}, or the dtype of an uncompressed weight
   * @param bytes of its tensors, bias excluded
   */
  public record InspectedModule(String name, long rows, long columns, String scheme, long bytes) {
    public double bitsPerWeight() {
      return 8.0 * bytes / (rows * columns);
    }
  }

  /** Embeddings only if they are compressed. */
  private static List<LinearSpec> linears(LoadedModel model) {
    return model.modules().entrySet().stream()
        .filter(
            entry ->
                entry.getValue().className().equals(NamedModule.LINEAR)
                    || model.layouts().containsKey(entry.getKey().weight()))
        .map(Map.Entry::getKey)
        .toList();
  }

  public static Inspection of(LoadedModel model) {
    List<InspectedModule> modules = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    for (LinearSpec linear : linears(model)) {
      WeightLayout layout = model.layouts().get(linear.weight());
      if (layout == null && !model.checkpoint().tensors().containsKey(linear.weight())) {
        continue;
      }
      List<String> names =
          new ArrayList<>(
              layout == null
                  ? List.of(linear.weight())
                  : layout.tensors().stream().map(OutputTensor::name).toList());
      ActivationLayout input = model.activations().get(linear.name() + ActivationLayout.INPUT);
      if (input != null) {
        input.tensors().forEach(tensor -> names.add(tensor.name()));
      }
      seen.addAll(names);
      long bytes = names.stream().mapToLong(name -> model.checkpoint().require(name).bytes()).sum();
      String scheme =
          layout == null
              ? model.checkpoint().require(linear.weight()).dtype().safetensorsName()
              : SchemeNames.of(layout.args());
      modules.add(
          new InspectedModule(
              linear.name(), linear.outFeatures(), linear.inFeatures(), scheme, bytes));
    }
    List<TensorInfo> others =
        model.checkpoint().tensors().values().stream()
            .filter(tensor -> !seen.contains(tensor.name()))
            .toList();
    return new Inspection(
        List.copyOf(modules),
        others,
        model.checkpoint().tensors().values().stream().mapToLong(TensorInfo::bytes).sum(),
        modules.stream().mapToLong(module -> module.rows() * module.columns()).sum(),
        modules.stream().mapToLong(module -> 8 * module.bytes()).sum());
  }
}
