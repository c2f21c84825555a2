package dev.quench.format;

import dev.quench.checkpoint.Checkpoint;
import dev.quench.tensor.DType;
import tools.jackson.databind.node.ObjectNode;

/** What config.json says that a model's weights are. */
final class ModelDtype {
  private ModelDtype() {}

  /**
   * @param fallback if config.json doesn't say; anything but F32 and F16 counts as BF16
   */
  static DType of(Checkpoint checkpoint, DType fallback) {
    ObjectNode config = checkpoint.config();
    String name = config.path("dtype").asString(config.path("torch_dtype").asString(""));
    return switch (name) {
      case "bfloat16" -> DType.BF16;
      case "float16" -> DType.F16;
      case "float32" -> DType.F32;
      default -> fallback == DType.F16 || fallback == DType.F32 ? fallback : DType.BF16;
    };
  }
}
