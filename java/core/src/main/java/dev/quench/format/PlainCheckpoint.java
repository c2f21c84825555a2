package dev.quench.format;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.node.ObjectNode;

/**
 * A quantized checkpoint seen as one that isn't: its weights are dequantized when they are read,
 * and what described their quantization is gone.
 */
public final class PlainCheckpoint {
  private static final String CONFIG = "quantization_config";

  /** What runtimes need to quantize activations, KV cache and attention: last parts of names. */
  private static final Set<String> OF_ACTIVATIONS =
      Set.of(
          "input_scale",
          "input_zero_point",
          "input_global_scale",
          "output_scale",
          "output_zero_point",
          "activation_scale",
          "q_scale",
          "k_scale",
          "v_scale",
          "q_zero_point",
          "k_zero_point",
          "v_zero_point");

  private PlainCheckpoint() {}

  /**
   * @param stored the checkpoint as it is
   * @param forms of the quantized weights, by the names that they have in a plain checkpoint
   * @throws InvalidInputException if a part of a form is missing, or something remains that is
   *     neither a plain tensor nor part of a form
   */
  public static Checkpoint of(Checkpoint stored, Map<String, ? extends StoredForm> forms) {
    Map<String, String> owners = new HashMap<>();
    forms.forEach((weight, form) -> form.parts().forEach(part -> owners.put(part, weight)));
    Map<String, TensorInfo> plain = new LinkedHashMap<>();
    for (TensorInfo tensor : stored.tensors().values()) {
      String weight = owners.get(tensor.name());
      StoredForm form = weight == null ? null : forms.get(weight);
      if (weight != null && form != null) {
        // Where its first part lies.
        plain.computeIfAbsent(weight, name -> decoded(name, form, tensor));
      } else if (!OF_ACTIVATIONS.contains(lastPart(tensor.name()))) {
        requirePlain(tensor);
        plain.put(tensor.name(), tensor);
      }
    }
    ObjectNode config = stored.config();
    config.remove(CONFIG);
    return stored.with(config, plain);
  }

  private static TensorInfo decoded(String name, StoredForm form, TensorInfo part) {
    Shape shape = Shape.of(form.rows(), form.columns());
    return TensorInfo.decoded(
        name, form.dtype(), shape, part.file(), arena -> dequantize(form, shape, arena));
  }

  private static HostTensor dequantize(StoredForm form, Shape shape, Arena arena) {
    DType dtype = form.dtype();
    HostTensor result = HostTensors.zeros(dtype, shape, arena);
    try (Device device = new CpuDevice(1);
        Scope scope = device.openScope();
        Arena read = Arena.ofShared()) {
      QuantizedWeight weight = form.decode(device, scope, read);
      Tensor values = scope.allocate(dtype, form.rows(), form.columns());
      weight.dequantize(device, values);
      device.download(values, result);
    }
    return result;
  }

  private static void requirePlain(TensorInfo tensor) {
    boolean codes =
        switch (tensor.dtype()) {
          case F8_E4M3, F8_E5M2, F8_E4M3FNUZ, F8_E5M2FNUZ, F8_E8M0, F4, F6_E2M3, F6_E3M2 -> true;
          case U8, I8, I32 -> tensor.shape().rank() >= 2;
          default -> lastPart(tensor.name()).startsWith("weight_scale");
        };
    if (codes) {
      throw new InvalidInputException(
          "%s in %s is %s %s: part of a quantized weight, but not in a form that Quench can dequantize."
              .formatted(tensor.name(), tensor.file(), tensor.dtype(), tensor.shape()));
    }
  }

  private static String lastPart(String name) {
    return name.substring(name.lastIndexOf('.') + 1);
  }
}
