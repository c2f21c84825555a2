package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.model.Architecture;
import dev.quench.model.LinearSpec;
import dev.quench.recipe.NamedModule;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;

/** The linears and embeddings of a checkpoint that may be compressed. */
final class StoredModules {
  private static final String WEIGHT = ".weight";
  private static final String PACKED = ".weight_packed";

  private StoredModules() {}

  /** As the family has them; without a head that shares the embedding's weight. */
  static Map<LinearSpec, NamedModule> described(Architecture architecture) {
    Map<LinearSpec, NamedModule> modules = new LinkedHashMap<>();
    LinearSpec embedding = ModelModules.embedding(architecture);
    modules.put(embedding, new NamedModule(embedding.name(), NamedModule.EMBEDDING));
    for (LinearSpec linear : architecture.linears()) {
      if (!architecture.tiedEmbeddings() || !linear.equals(architecture.head())) {
        modules.put(linear, NamedModule.linear(linear.name()));
      }
    }
    return modules;
  }

  /** By the names of the tensors. */
  static Map<LinearSpec, NamedModule> byNames(Checkpoint checkpoint) {
    String modelType = checkpoint.config().path("model_type").asString("");
    Map<LinearSpec, NamedModule> modules = new LinkedHashMap<>();
    checkpoint.tensors().values().stream()
        .filter(StoredModules::isWeight)
        .sorted((a, b) -> ModuleNames.ORDER.compare(a.name(), b.name()))
        .forEach(
            tensor -> {
              String name = ModelModules.moduleOf(tensor.name());
              modules.put(
                  new LinearSpec(name, tensor.shape().dim(0), columns(checkpoint, tensor), false),
                  ModuleNames.module(name, modelType));
            });
    return modules;
  }

  private static boolean isWeight(TensorInfo tensor) {
    return tensor.shape().rank() == 2
        && (tensor.name().endsWith(WEIGHT) || tensor.name().endsWith(PACKED));
  }

  private static long columns(Checkpoint checkpoint, TensorInfo tensor) {
    if (tensor.name().endsWith(WEIGHT)) {
      return tensor.shape().dim(1);
    }
    if (tensor.dtype() == DType.U8) {
      return 2 * tensor.shape().dim(1);
    }
    String name = ModelModules.moduleOf(tensor.name()) + ".weight_shape";
    try (Arena arena = Arena.ofConfined()) {
      HostTensor shape = checkpoint.read(name, arena);
      if (shape.dtype() != DType.I64 || shape.shape().elements() != 2) {
        throw new InvalidInputException(
            "%s is %s %s, but must be two numbers of I64."
                .formatted(name, shape.dtype(), shape.shape()));
      }
      return shape.data().getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, 1);
    }
  }
}
