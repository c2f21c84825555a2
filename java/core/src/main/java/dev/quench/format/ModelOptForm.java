package dev.quench.format;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgsReader;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A weight in NVFP4 as NVIDIA's ModelOpt writes it: {@code NAME.weight} with two E2M1 codes a byte,
 * the first in the low half; {@code NAME.weight_scale} in F8_E4M3, one for 16 columns; and {@code
 * NAME.weight_scale_2}, by which these are multiplied (compressed-tensors divides by its
 * reciprocal). Products are computed in float32.
 */
record ModelOptForm(
    Checkpoint checkpoint, TensorInfo codes, TensorInfo scale, TensorInfo outerScale, DType dtype)
    implements StoredForm {
  private static final int GROUP = 16;
  private static final QuantizationArgs ARGS =
      QuantizationArgsReader.read(
          Map.of("num_bits", 4, "type", "float", "group_size", GROUP), "ModelOpt NVFP4");

  /** All weights that ModelOpt quantized in a checkpoint, FP8 ones too, by name. */
  static Map<String, StoredForm> all(Checkpoint checkpoint) {
    Map<String, StoredForm> forms = new LinkedHashMap<>();
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      if (tensor.name().endsWith(".pre_quant_scale")) {
        throw new InvalidInputException(
            "%s in %s: inputs are scaled before the weight (ModelOpt's AWQ and SmoothQuant), which Quench can't undo."
                .formatted(tensor.name(), tensor.file()));
      }
      boolean nvfp4 =
          tensor.dtype() == DType.U8
              && checkpoint.tensors().containsKey(tensor.name() + "_scale_2");
      if (nvfp4) {
        forms.put(tensor.name(), of(checkpoint, tensor));
      } else if (Fp8Form.isCodes(tensor)) {
        forms.put(tensor.name(), Fp8Form.of(checkpoint, tensor, GROUP, GROUP));
      }
    }
    return forms;
  }

  private static ModelOptForm of(Checkpoint checkpoint, TensorInfo codes) {
    TensorInfo scale = checkpoint.require(codes.name() + "_scale");
    TensorInfo outer = checkpoint.require(codes.name() + "_scale_2");
    boolean matrix = codes.shape().rank() == 2;
    if (!matrix
        || scale.dtype() != DType.F8_E4M3
        || !scale.shape().equals(Shape.of(codes.shape().dim(0), codes.shape().dim(1) * 2 / GROUP))
        || codes.shape().dim(1) * 2 % GROUP != 0
        || outer.dtype() != DType.F32
        || outer.shape().elements() != 1) {
      throw new InvalidInputException(
          "%s in %s: %s %s with scales %s %s and %s %s isn't NVFP4."
              .formatted(
                  codes.name(),
                  codes.file(),
                  codes.dtype(),
                  codes.shape(),
                  scale.dtype(),
                  scale.shape(),
                  outer.dtype(),
                  outer.shape()));
    }
    return new ModelOptForm(checkpoint, codes, scale, outer, ModelDtype.of(checkpoint, DType.BF16));
  }

  @Override
  public List<String> parts() {
    return List.of(codes.name(), scale.name(), outerScale.name());
  }

  @Override
  public long rows() {
    return codes.shape().dim(0);
  }

  @Override
  public long columns() {
    return 2 * codes.shape().dim(1);
  }

  @Override
  public QuantizedWeight decode(Device device, Scope scope, Arena arena) {
    Tensor unpacked = scope.allocate(DType.I8, rows(), columns());
    device.unpack(scope.upload(checkpoint.read(codes.name(), arena)), ARGS.numBits(), unpacked);
    float outer = checkpoint.read(outerScale.name(), arena).floatAt(0);
    HostTensor inner = checkpoint.read(scale.name(), arena);
    HostTensor scales = HostTensors.zeros(DType.F32, scale.shape(), arena);
    for (long i = 0; i < inner.shape().elements(); i++) {
      HostTensors.setFloat(scales, i, inner.floatAt(i) * outer);
    }
    return new QuantizedWeight(
        ARGS,
        unpacked,
        scope.upload(scales),
        scope.zeros(DType.I8, scale.shape().dim(0), scale.shape().dim(1)),
        GlobalScale.NONE);
  }
}
