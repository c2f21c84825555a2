package dev.quench.pipeline;

import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
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
 * A checkpoint whose architecture is known, compressed or not.
 *
 * @param quantization what config.json says of the compression, if there is any
 * @param layouts of the compressed weights, by the name of the weight in an uncompressed checkpoint
 * @param inputs how the inputs of linears are quantized, by the linears' names
 */
public record LoadedModel(
    Checkpoint checkpoint,
    Architecture architecture,
    Optional<QuantizationConfig> quantization,
    Map<String, WeightLayout> layouts,
    Map<String, QuantizationArgs> inputs) {

  /**
   * Reads config.json and the headers of the weight files.
   *
   * @throws dev.quench.InvalidInputException if the model isn't supported, or is damaged
   */
  public static LoadedModel open(Path folder) {
    Checkpoint checkpoint = Checkpoint.open(folder);
    String configFile = folder.resolve("config.json").toString();
    Architecture architecture = ArchitectureReader.read(checkpoint.config(), configFile);
    if (!checkpoint.config().hasNonNull("quantization_config")) {
      return new LoadedModel(checkpoint, architecture, Optional.empty(), Map.of(), Map.of());
    }
    QuantizationConfig quantization =
        QuantizationConfigReader.read(checkpoint.config().get("quantization_config"), configFile);
    quantization.requireDecodable(configFile);
    TargetMatcher matcher = quantization.matcher(configFile);
    return new LoadedModel(
        checkpoint,
        architecture,
        Optional.of(quantization),
        layouts(checkpoint, architecture, matcher),
        inputs(architecture, matcher));
  }

  private static Map<String, QuantizationArgs> inputs(
      Architecture architecture, TargetMatcher matcher) {
    Map<String, QuantizationArgs> inputs = new LinkedHashMap<>();
    for (LinearSpec linear : architecture.linears()) {
      matcher
          .match(NamedModule.linear(linear.name()))
          .flatMap(QuantizationScheme::inputActivations)
          .ifPresent(args -> inputs.put(linear.name(), args));
    }
    return inputs;
  }

  private static Map<String, WeightLayout> layouts(
      Checkpoint checkpoint, Architecture architecture, TargetMatcher matcher) {
    Map<String, WeightLayout> layouts = new LinkedHashMap<>();
    for (LinearSpec linear : architecture.linears()) {
      Optional<QuantizationScheme> scheme = matcher.match(NamedModule.linear(linear.name()));
      if (scheme.isEmpty()
          || scheme.get().weights().isEmpty()
          || scheme.get().effectiveFormat() == CompressionFormat.DENSE) {
        continue;
      }
      TensorInfo scale = checkpoint.require(linear.name() + ".weight_scale");
      layouts.put(
          linear.weight(),
          new WeightLayout(
              linear.name(),
              linear.outFeatures(),
              linear.inFeatures(),
              scale.dtype(),
              scheme.get().weights().get(),
              scheme.get().effectiveFormat()));
    }
    return layouts;
  }

  /**
   * The operations of its forward pass, in float32, with inputs quantized as the checkpoint says.
   */
  public Compute compute(Device device) {
    return new Compute(device, DType.F32, inputs);
  }

  /** The same with inputs left alone: what is lost is lost by the weights. */
  public LoadedModel withExactInputs() {
    return new LoadedModel(checkpoint, architecture, quantization, layouts, Map.of());
  }

  /** The weights, dequantized where they are compressed. */
  public WeightSource weights(Device device) {
    return new StoredWeights(device, checkpoint, layouts);
  }
}
