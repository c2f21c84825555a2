package dev.quench.format;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Who quantized a checkpoint: the {@code quant_method} of its quantization_config. */
public enum SourceFormat {
  COMPRESSED_TENSORS("compressed-tensors", "compressed-tensors"),
  FP8("fp8", "FP8 (DeepSeek, transformers)"),
  MODELOPT("modelopt", "ModelOpt"),
  AUTO_AWQ("awq", "AutoAWQ");

  private static final String CONFIG = "quantization_config";

  private final String method;
  private final String title;

  SourceFormat(String method, String title) {
    this.method = method;
    this.title = title;
  }

  /** For people. */
  public String title() {
    return title;
  }

  /**
   * @return empty if the checkpoint isn't quantized
   * @throws InvalidInputException if a tool quantized it whose formats Quench doesn't read
   */
  public static Optional<SourceFormat> of(Checkpoint checkpoint) {
    ObjectNode config = checkpoint.config();
    if (!config.hasNonNull(CONFIG)) {
      // ModelOpt's older exports say it in a file of their own.
      return Files.isRegularFile(checkpoint.folder().resolve("hf_quant_config.json"))
          ? Optional.of(MODELOPT)
          : Optional.empty();
    }
    String method = config.path(CONFIG).path("quant_method").asString("missing");
    for (SourceFormat format : values()) {
      if (method.equals(format.method)) {
        return Optional.of(format);
      }
    }
    if (method.equals("modelopt_fp4")) {
      return Optional.of(MODELOPT);
    }
    throw new InvalidInputException(
        "%s: quant_method of quantization_config is %s; Quench reads %s."
            .formatted(
                checkpoint.folder().resolve("config.json"),
                method,
                Arrays.stream(values()).map(f -> f.method).collect(Collectors.joining(", "))));
  }

  /**
   * The checkpoint with its weights dequantized.
   *
   * @throws IllegalArgumentException if this is {@link #COMPRESSED_TENSORS}, whose weights are
   *     found by targets
   */
  public Checkpoint plain(Checkpoint checkpoint) {
    JsonNode config = checkpoint.config().path(CONFIG);
    Map<String, StoredForm> forms =
        switch (this) {
          case COMPRESSED_TENSORS -> throw new IllegalArgumentException(method);
          case FP8 -> Fp8Form.all(checkpoint, config);
          case MODELOPT -> ModelOptForm.all(checkpoint);
          case AUTO_AWQ -> AutoAwqForm.all(checkpoint, config);
        };
    return PlainCheckpoint.of(checkpoint, forms);
  }
}
