package dev.quench.quantization;

import dev.quench.tensor.DType;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** PyTorch's names of element types, as recipes and config.json use them. */
final class TorchDtypes {
  private static final Map<String, DType> BY_NAME = new LinkedHashMap<>();

  static {
    BY_NAME.put("float8_e4m3fn", DType.F8_E4M3);
    BY_NAME.put("uint8", DType.U8);
    BY_NAME.put("int8", DType.I8);
    BY_NAME.put("int16", DType.I16);
    BY_NAME.put("int32", DType.I32);
    BY_NAME.put("bfloat16", DType.BF16);
    BY_NAME.put("float16", DType.F16);
    BY_NAME.put("float32", DType.F32);
  }

  private TorchDtypes() {}

  /** With or without the prefix {@code torch.}. */
  static Optional<DType> parse(String name) {
    return Optional.ofNullable(
        BY_NAME.get(name.startsWith("torch.") ? name.substring("torch.".length()) : name));
  }

  static Set<String> names() {
    return BY_NAME.keySet();
  }

  static String name(DType dtype) {
    for (Map.Entry<String, DType> entry : BY_NAME.entrySet()) {
      if (entry.getValue() == dtype) {
        return "torch." + entry.getKey();
      }
    }
    throw new IllegalArgumentException("no PyTorch name for " + dtype);
  }
}
