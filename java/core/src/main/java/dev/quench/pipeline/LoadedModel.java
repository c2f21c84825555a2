package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
import dev.quench.format.SourceFormat;
import dev.quench.format.StoredWeights;
import dev.quench.format.WeightLayout;
import dev.quench.model.Architecture;
import dev.quench.model.ArchitectureReader;
import dev.quench.model.Compute;
import dev.quench.model.LinearSpec;
import dev.quench.model.WeightSource;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.QuantizationArgs;
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
 * @param inputs how the inputs of linears are quantized, by the linears' names
 */
public record LoadedModel(
    Checkpoint checkpoint,
    Optional<Architecture> family,
    Optional<QuantizationConfig> quantization,
    Map<LinearSpec, NamedModule> modules,
    Map<String, WeightLayout> layouts,
    Map<String, QuantizationArgs> inputs) {

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
        inputs(modules, matcher));
  }

  private static Map<String, QuantizationArgs> inputs(
      Map<LinearSpec, NamedModule> modules, TargetMatcher matcher) {
    Map<String, QuantizationArgs> inputs = new LinkedHashMap<>();
    modules.forEach(
        (matrix, module) ->
            matcher
                .match(module)
                .flatMap(QuantizationScheme::inputActivations)
                .ifPresent(args -> inputs.put(matrix.name(), args)));
    return inputs;
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
   * The operations of its forward pass, in float32, with inputs quantized as the checkpoint says.
   *
   * @throws InvalidInputException if that is by ranges known beforehand
   */
  public Compute compute(Device device) {
    inputs.forEach(
        (name, args) -> {
          if (!Compute.quantizesRows(args)) {
            throw new InvalidInputException(
                "%s: the inputs of %s are quantized by ranges known beforehand, which can't be evaluated yet."
                    .formatted(checkpoint.folder(), name));
          }
        });
    return new Compute(device, DType.F32, inputs);
  }

  /** The same with inputs left alone: what is lost is lost by the weights. */
  public LoadedModel withExactInputs() {
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
