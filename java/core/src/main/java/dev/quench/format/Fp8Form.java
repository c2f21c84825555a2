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
import tools.jackson.databind.JsonNode;

/**
 * A weight in FP8 as DeepSeek and transformers write it: codes {@code NAME.weight} in F8_E4M3, and
 * {@code NAME.weight_scale_inv} (or {@code weight_scale}), which despite its name is what a code is
 * multiplied by: one for the whole weight, for each row, or for each block. Products are computed
 * in float32.
 */
record Fp8Form(
    Checkpoint checkpoint, TensorInfo codes, TensorInfo scale, QuantizationArgs args, DType dtype)
    implements StoredForm {
  private static final String WEIGHT = ".weight";
  private static final int DEFAULT_BLOCK = 128;

  /**
   * All such weights of a checkpoint, by name.
   *
   * @param config its quantization_config
   */
  static Map<String, StoredForm> all(Checkpoint checkpoint, JsonNode config) {
    int blockRows = config.path("weight_block_size").path(0).asInt(DEFAULT_BLOCK);
    int blockColumns = config.path("weight_block_size").path(1).asInt(DEFAULT_BLOCK);
    Map<String, StoredForm> forms = new LinkedHashMap<>();
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      if (isCodes(tensor)) {
        forms.put(tensor.name(), of(checkpoint, tensor, blockRows, blockColumns));
      }
    }
    return forms;
  }

  /** Whether it is a matrix of FP8 codes. */
  static boolean isCodes(TensorInfo tensor) {
    return tensor.dtype() == DType.F8_E4M3
        && tensor.shape().rank() == 2
        && tensor.name().endsWith(WEIGHT);
  }

  static Fp8Form of(Checkpoint checkpoint, TensorInfo codes, int blockRows, int blockColumns) {
    String inverse = codes.name() + "_scale_inv";
    TensorInfo scale =
        checkpoint.tensors().containsKey(inverse)
            ? checkpoint.require(inverse)
            : checkpoint.require(codes.name() + "_scale");
    boolean known = scale.dtype().isWeightFloat() && scale.dtype() != DType.F64;
    if (!known && scale.dtype() != DType.F8_E8M0) {
      throw new InvalidInputException(
          "%s in %s is %s, which can't be a scale of FP8 weights."
              .formatted(scale.name(), scale.file(), scale.dtype()));
    }
    return new Fp8Form(
        checkpoint,
        codes,
        scale,
        args(codes, scale, blockRows, blockColumns),
        ModelDtype.of(checkpoint, DType.BF16));
  }

  private static QuantizationArgs args(
      TensorInfo codes, TensorInfo scale, int blockRows, int blockColumns) {
    long rows = codes.shape().dim(0);
    long columns = codes.shape().dim(1);
    Shape blocks = Shape.of(Math.ceilDiv(rows, blockRows), Math.ceilDiv(columns, blockColumns));
    Map<String, Object> fields = new LinkedHashMap<>(Map.of("num_bits", 8, "type", "float"));
    if (scale.shape().elements() == 1) {
      fields.put("strategy", "tensor");
    } else if (scale.shape().equals(Shape.of(rows)) || scale.shape().equals(Shape.of(rows, 1))) {
      fields.put("strategy", "channel");
    } else if (scale.shape().equals(blocks)) {
      fields.put("strategy", "block");
      fields.put("block_structure", List.of(blockRows, blockColumns));
    } else {
      throw new InvalidInputException(
          "%s in %s is %s; of %s %s with blocks of %d×%d it must be %s."
              .formatted(
                  scale.name(),
                  scale.file(),
                  scale.shape(),
                  codes.name(),
                  codes.shape(),
                  blockRows,
                  blockColumns,
                  blocks));
    }
    return QuantizationArgsReader.read(fields, codes.name());
  }

  @Override
  public List<String> parts() {
    return List.of(codes.name(), scale.name());
  }

  @Override
  public long rows() {
    return codes.shape().dim(0);
  }

  @Override
  public long columns() {
    return codes.shape().dim(1);
  }

  @Override
  public QuantizedWeight decode(Device device, Scope scope, Arena arena) {
    long scaleRows = Math.ceilDiv(rows(), args.blockRows(rows()));
    long scaleColumns = Math.ceilDiv(columns(), args.blockColumns(columns()));
    HostTensor stored = checkpoint.read(scale.name(), arena);
    HostTensor scales = HostTensors.zeros(DType.F32, Shape.of(scaleRows, scaleColumns), arena);
    for (long i = 0; i < stored.shape().elements(); i++) {
      HostTensors.setFloat(scales, i, stored.floatAt(i));
    }
    Tensor zeroPoint = scope.zeros(DType.I8, scaleRows, scaleColumns);
    return new QuantizedWeight(
        args,
        scope.upload(checkpoint.read(codes.name(), arena)),
        scope.upload(scales),
        zeroPoint,
        GlobalScale.NONE);
  }
}
