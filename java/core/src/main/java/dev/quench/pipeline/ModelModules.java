package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.model.Architecture;
import dev.quench.model.ArchitectureReader;
import dev.quench.model.DecoderLayer;
import dev.quench.model.LinearSpec;
import dev.quench.recipe.NamedModule;
import dev.quench.tensor.Shape;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The modules of an uncompressed checkpoint, from the description of its family, or by the names of
 * its tensors if there is none.
 *
 * @param tree all modules that a target can name, in the order of the model
 * @param matrices of the linears and embeddings among them, by name; not of those that can't be had
 *     as matrices
 * @param tiedHead the output projection, if it has no weight of its own but the embedding's
 * @param embedding name of the weight that a tied head shares
 */
record ModelModules(
    Optional<Architecture> architecture,
    List<NamedModule> tree,
    Map<String, LinearSpec> matrices,
    Optional<LinearSpec> tiedHead,
    String embedding) {
  private static final String HEAD = "lm_head";
  private static final String EMBEDDING = "model.embed_tokens";
  private static final String WEIGHT = ".weight";

  ModelModules {
    tree = List.copyOf(tree);
    matrices = Collections.unmodifiableMap(new LinkedHashMap<>(matrices));
  }

  /**
   * @throws InvalidInputException if the description and the tensors don't fit each other
   */
  static ModelModules of(FusedExperts experts) {
    Checkpoint checkpoint = experts.checkpoint();
    return ArchitectureReader.find(checkpoint)
        .map(architecture -> described(checkpoint, architecture))
        .orElseGet(() -> byNames(checkpoint, experts.transposed()));
  }

  private static ModelModules described(Checkpoint checkpoint, Architecture architecture) {
    Map<String, LinearSpec> matrices = new LinkedHashMap<>();
    List<NamedModule> tree = new ArrayList<>();
    LinearSpec embedding = embedding(architecture);
    tree.add(new NamedModule(embedding.name(), NamedModule.EMBEDDING));
    matrices.put(embedding.name(), embedding);
    for (int i = 0; i < architecture.layers(); i++) {
      DecoderLayer layer = architecture.layer(i);
      tree.add(new NamedModule(layer.attention(), architecture.attentionClass()));
      layer.linears().forEach(linear -> tree.add(NamedModule.linear(linear.name())));
    }
    tree.add(NamedModule.linear(architecture.head().name()));
    architecture.linears().forEach(linear -> matrices.put(linear.name(), linear));
    LinearSpec head = architecture.head();
    boolean tied =
        architecture.tiedEmbeddings() && !checkpoint.tensors().containsKey(head.weight());
    for (LinearSpec matrix : matrices.values()) {
      if (!tied || !matrix.equals(head)) {
        requireWeight(checkpoint, matrix);
      }
    }
    return new ModelModules(
        Optional.of(architecture),
        tree,
        matrices,
        tied ? Optional.of(head) : Optional.empty(),
        architecture.embedding());
  }

  /** The embedding as a matrix, {@code [vocabulary, hidden]}. */
  static LinearSpec embedding(Architecture architecture) {
    return new LinearSpec(
        moduleOf(architecture.embedding()),
        architecture.vocabularySize(),
        architecture.hiddenSize(),
        false);
  }

  private static ModelModules byNames(Checkpoint checkpoint, List<String> transposed) {
    String modelType = checkpoint.config().path("model_type").asString("");
    List<NamedModule> tree = new ArrayList<>();
    Map<String, LinearSpec> matrices = new LinkedHashMap<>();
    checkpoint.tensors().values().stream()
        .filter(tensor -> tensor.name().endsWith(WEIGHT) && tensor.shape().rank() == 2)
        .map(tensor -> moduleOf(tensor.name()))
        .sorted(ModuleNames.ORDER)
        .forEach(
            name -> {
              Shape shape = checkpoint.require(name + WEIGHT).shape();
              tree.add(ModuleNames.module(name, modelType));
              matrices.put(name, new LinearSpec(name, shape.dim(0), shape.dim(1), false));
            });
    transposed.forEach(name -> tree.add(NamedModule.linear(name)));
    Optional<LinearSpec> tied = Optional.empty();
    LinearSpec embedding = matrices.get(EMBEDDING);
    if (!matrices.containsKey(HEAD) && embedding != null) {
      LinearSpec head =
          new LinearSpec(HEAD, embedding.outFeatures(), embedding.inFeatures(), false);
      tree.add(NamedModule.linear(HEAD));
      matrices.put(HEAD, head);
      tied = Optional.of(head);
    }
    return new ModelModules(Optional.empty(), tree, matrices, tied, EMBEDDING + WEIGHT);
  }

  private static void requireWeight(Checkpoint checkpoint, LinearSpec matrix) {
    TensorInfo tensor = checkpoint.require(matrix.weight());
    if (tensor.shape().rank() != 2
        || tensor.shape().dim(0) != matrix.outFeatures()
        || tensor.shape().dim(1) != matrix.inFeatures()) {
      throw new InvalidInputException(
          "%s in %s: its shape is %s, but config.json makes it [%d, %d]; are the two of the same model?"
              .formatted(
                  tensor.name(),
                  tensor.file(),
                  tensor.shape(),
                  matrix.outFeatures(),
                  matrix.inFeatures()));
    }
  }

  /** Name of the tensor that a module's weight is in. */
  String source(LinearSpec matrix) {
    return tiedHead.equals(Optional.of(matrix)) ? embedding : matrix.weight();
  }

  static String moduleOf(String tensor) {
    int dot = tensor.lastIndexOf('.');
    return dot < 0 ? tensor : tensor.substring(0, dot);
  }
}
