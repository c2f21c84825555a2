package dev.quench.model;

import dev.quench.device.Activation;
import dev.quench.device.AttentionSpec;
import java.util.ArrayList;
import java.util.List;

/**
 * A decoder, described by its sizes and by the parts that it combines. Built from {@code
 * config.json} by {@link ArchitectureReader}; a new family is a new description.
 *
 * @param modelType {@code model_type} of config.json
 * @param layerClass class name of a decoder layer in the field's terms, such as {@code
 *     LlamaDecoderLayer}
 * @param normEpsilon added to the mean of squares under the root
 * @param attentionBias whether q, k, v and o have biases
 * @param mlpBias whether gate, up and down have biases
 * @param contextLength longest sequence that the positions are made for
 * @param tiedEmbeddings whether the output projection is the embedding table
 */
public record Architecture(
    String modelType,
    String layerClass,
    int layers,
    int hiddenSize,
    int intermediateSize,
    int vocabularySize,
    AttentionSpec attention,
    RopeSpec rope,
    Activation activation,
    float normEpsilon,
    boolean attentionBias,
    boolean mlpBias,
    int contextLength,
    boolean tiedEmbeddings) {

  /** Name of the embedding table in the checkpoint: {@code [vocabulary, hidden]}. */
  public String embedding() {
    return "model.embed_tokens.weight";
  }

  /** Name of the weight of the norm before the output projection. */
  public String finalNorm() {
    return "model.norm.weight";
  }

  /**
   * The output projection, {@code [vocabulary, hidden]}; it shares the embedding's weight if {@link
   * #tiedEmbeddings}.
   */
  public LinearSpec head() {
    return new LinearSpec("lm_head", vocabularySize, hiddenSize, false);
  }

  /** Class name of an attention module, by the field's convention. */
  public String attentionClass() {
    return layerClass.replace("DecoderLayer", "Attention");
  }

  /** Decoder layer {@code index}, from 0. */
  public DecoderLayer layer(int index) {
    return new DecoderLayer(this, index);
  }

  /** All linears in the model's order: those of the layers, then the output projection. */
  public List<LinearSpec> linears() {
    List<LinearSpec> linears = new ArrayList<>();
    for (int i = 0; i < layers; i++) {
      linears.addAll(layer(i).linears());
    }
    linears.add(head());
    return linears;
  }
}
