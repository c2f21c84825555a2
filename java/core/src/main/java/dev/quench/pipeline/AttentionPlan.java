package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.device.AttentionSpec;
import dev.quench.format.ActivationLayout;
import dev.quench.model.Architecture;
import dev.quench.model.Compute;
import dev.quench.model.DecoderLayer;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.recipe.SchemeAssignment;
import dev.quench.tensor.DType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How the states of one attention module are quantized, by ranges known beforehand.
 *
 * @param queries nothing if only keys and values are, which is a quantized KV cache
 */
public record AttentionPlan(
    String module,
    Optional<ActivationLayout> queries,
    ActivationLayout keys,
    ActivationLayout values) {

  /**
   * Those of a model, by the modules' names.
   *
   * @throws InvalidInputException if the model has no KV cache that Quench knows
   */
  static Map<String, AttentionPlan> of(
      Checkpoint checkpoint, Optional<Architecture> family, SchemeAssignment assignment) {
    Optional<QuantizationArgs> cache =
        assignment.cache().filter(args -> args.dynamic() == Dynamic.STATIC);
    if (cache.isEmpty()) {
      return Map.of();
    }
    Architecture architecture =
        family.orElseThrow(
            () ->
                new InvalidInputException(
                    "kv_cache_scheme: %s is a model_type that Quench has no description of, so it doesn't know its KV cache; leave the kv_cache_scheme out."
                        .formatted(checkpoint.config().path("model_type").asString("this"))));
    Map<String, AttentionPlan> plans = new LinkedHashMap<>();
    for (int i = 0; i < architecture.layers(); i++) {
      DecoderLayer layer = architecture.layer(i);
      DType dtype = checkpoint.require(layer.keyWeight()).dtype();
      plans.put(
          layer.attention(),
          of(
              layer.attention(),
              architecture.attention(),
              cache.get(),
              assignment.of(layer.attention()).isPresent(),
              dtype));
    }
    return plans;
  }

  /**
   * @param queries whether they are quantized too
   * @param dtype of the scales
   */
  static AttentionPlan of(
      String module, AttentionSpec spec, QuantizationArgs args, boolean queries, DType dtype) {
    return new AttentionPlan(
        module,
        queries
            ? Optional.of(new ActivationLayout(module + Compute.QUERIES, args, spec.heads(), dtype))
            : Optional.empty(),
        new ActivationLayout(module + Compute.KEYS, args, spec.keyHeads(), dtype),
        new ActivationLayout(module + Compute.VALUES, args, spec.keyHeads(), dtype));
  }

  List<ActivationLayout> layouts() {
    List<ActivationLayout> layouts = new ArrayList<>();
    queries.ifPresent(layouts::add);
    layouts.add(keys);
    layouts.add(values);
    return layouts;
  }

  /** All that is stored of it. */
  List<OutputTensor> tensors() {
    return layouts().stream().flatMap(layout -> layout.tensors().stream()).toList();
  }
}
