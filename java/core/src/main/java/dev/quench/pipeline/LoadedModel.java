package dev.quench.pipeline;

import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
import dev.quench.format.ActivationDecoder;
import dev.quench.format.ActivationLayout;
import dev.quench.format.SourceFormat;
import dev.quench.format.StoredWeights;
import dev.quench.format.WeightLayout;
import dev.quench.model.ActivationQuantization;
import dev.quench.model.Architecture;
import dev.quench.model.ArchitectureReader;
import dev.quench.model.Compute;
import dev.quench.model.LinearSpec;
import dev.quench.model.WeightSource;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.quantization.QuantizationScheme;
import dev.quench.recipe.NamedModule;
import dev.quench.recipe.QuantizationConfig;
import dev.quench.recipe.QuantizationConfigReader;
import dev.quench.recipe.TargetMatcher;
import dev.quench.tensor.DType;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * A checkpoint, compressed or not. One that another tool than compressed-tensors quantized counts
 * as not compressed: its weights are dequantized when they are read.
 *
 * @param family the description of the model's family, if there is one
 * @param quantization what config.json says of the compression, if there is any
 * @param modules the linears and embeddings, with their classes, in the order of the model
 * @param layouts of the compressed weights, by the name of the weight in an uncompressed checkpoint
 * @param activations how a runtime quantizes activations, by {@link ActivationLayout#name}
 */
public record LoadedModel(
    Checkpoint checkpoint,
    Optional<Architecture> family,
    Optional<QuantizationConfig> quantization,
    Map<LinearSpec, NamedModule> modules,
    Map<String, WeightLayout> layouts,
    Map<String, ActivationLayout> activations) {

  /**
   * Reads config.json and the headers of the weight files.
   *
   * @throws dev.quench.InvalidInputException if the model is damaged
   */
  public static LoadedModel open(Path folder) {
    Checkpoint checkpoint = Checkpoint.open(folder);
    return of(
        SourceFormat.of(checkpoint)
            .filter(format -> format != SourceFormat.COMPRESSED_TENSORS)
            .map(format -> format.plain(checkpoint))
            .orElse(checkpoint));
  }

  /** Of a plain checkpoint, or one of compressed-tensors. */
  static LoadedModel of(Checkpoint checkpoint) {
    String configFile = checkpoint.folder().resolve("config.json").toString();
    Optional<Architecture> family = ArchitectureReader.find(checkpoint);
    Map<LinearSpec, NamedModule> modules =
        family.map(StoredModules::described).orElseGet(() -> StoredModules.byNames(checkpoint));
    if (!checkpoint.config().hasNonNull("quantization_config")) {
      return new LoadedModel(checkpoint, family, Optional.empty(), modules, Map.of(), Map.of());
    }
    QuantizationConfig quantization =
        QuantizationConfigReader.read(checkpoint.config().get("quantization_config"), configFile);
    quantization.requireDecodable(configFile);
    TargetMatcher matcher = quantization.matcher(configFile);
    return new LoadedModel(
        checkpoint,
        family,
        Optional.of(quantization),
        modules,
        layouts(checkpoint, modules, matcher),
        activations(checkpoint, family, quantization, modules, matcher));
  }

  private static Map<String, ActivationLayout> activations(
      Checkpoint checkpoint,
      Optional<Architecture> family,
      QuantizationConfig quantization,
      Map<LinearSpec, NamedModule> modules,
      TargetMatcher matcher) {
    Map<String, ActivationLayout> activations = new LinkedHashMap<>();
    modules.forEach(
        (matrix, module) ->
            matcher
                .match(module)
                .flatMap(QuantizationScheme::inputActivations)
                .filter(args -> module.className().equals(NamedModule.LINEAR))
                .ifPresent(
                    args -> {
                      String name = matrix.name() + ActivationLayout.INPUT;
                      activations.put(name, layout(checkpoint, name, args, 1));
                    }));
    Optional<QuantizationArgs> cache = quantization.kvCacheScheme();
    if (family.isPresent() && cache.isPresent()) {
      Architecture architecture = family.get();
      for (int i = 0; i < architecture.layers(); i++) {
        String module = architecture.layer(i).attention();
        boolean queries =
            matcher.match(new NamedModule(module, architecture.attentionClass())).isPresent();
        AttentionPlan.of(module, architecture.attention(), cache.get(), queries, DType.F32)
            .layouts()
            .forEach(
                layout ->
                    activations.put(
                        layout.name(),
                        layout(checkpoint, layout.name(), layout.args(), layout.heads())));
      }
    }
    return activations;
  }

  /** With scales of the dtype that they are stored in. */
  private static ActivationLayout layout(
      Checkpoint checkpoint, String name, QuantizationArgs args, long heads) {
    ActivationLayout layout = new ActivationLayout(name, args, heads, DType.F32);
    return args.dynamic() == Dynamic.STATIC
        ? new ActivationLayout(name, args, heads, checkpoint.require(layout.scaleName()).dtype())
        : layout;
  }

  private static Map<String, WeightLayout> layouts(
      Checkpoint checkpoint, Map<LinearSpec, NamedModule> modules, TargetMatcher matcher) {
    Map<String, WeightLayout> layouts = new LinkedHashMap<>();
    modules.forEach(
        (matrix, module) -> {
          Optional<QuantizationScheme> scheme = matcher.match(module);
          if (scheme.isEmpty()
              || scheme.get().weights().isEmpty()
              || scheme.get().effectiveFormat() == CompressionFormat.DENSE) {
            return;
          }
          TensorInfo scale = checkpoint.require(matrix.name() + ".weight_scale");
          layouts.put(
              matrix.weight(),
              new WeightLayout(
                  matrix.name(),
                  matrix.outFeatures(),
                  matrix.inFeatures(),
                  scale.dtype(),
                  scheme.get().weights().get(),
                  scheme.get().effectiveFormat()));
        });
    return layouts;
  }

  /**
   * The operations of its forward pass, in float32, with activations quantized as the checkpoint
   * says.
   *
   * @throws dev.quench.InvalidInputException if what it stores of activations can't be used
   */
  public Compute compute(Device device) {
    Map<String, ActivationQuantization> quantized = new LinkedHashMap<>();
    activations.forEach(
        (name, layout) ->
            quantized.put(consumer(name), ActivationDecoder.read(layout, checkpoint)));
    return new Compute(device, DType.F32, quantized);
  }

  /** Inputs go by the names of linears. */
  private static String consumer(String activations) {
    return activations.endsWith(ActivationLayout.INPUT)
        ? activations.substring(0, activations.length() - ActivationLayout.INPUT.length())
        : activations;
  }

  /** The same with activations left alone: what is lost is lost by the weights. */
  public LoadedModel withExactActivations() {
    return new LoadedModel(checkpoint, family, quantization, modules, layouts, Map.of());
  }

  /**
   * The description of the model's family.
   *
   * @throws dev.quench.InvalidInputException if there is none; the message names those that are
   *     known
   */
  public Architecture architecture() {
    return family.orElseGet(() -> ArchitectureReader.read(checkpoint));
  }

  /** {@code model_type} of config.json. */
  public String modelType() {
    return checkpoint.config().path("model_type").asString("unknown family");
  }

  /** The weights, dequantized where they are compressed. */
  public WeightSource weights(Device device) {
    return new StoredWeights(device, checkpoint, layouts);
  }
}
