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
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/**
 * A weight as AutoAWQ's {@code gemm} version stores it, transposed: {@code NAME.qweight} [in, out /
 * 8] and {@code NAME.qzeros} [groups, out / 8] with eight codes of 4 bits in a word, {@code
 * NAME.scales} [groups, out]. A value is {@code (code − zero) · scale}, in the dtype of the scales.
 */
record AutoAwqForm(
    Checkpoint checkpoint,
    String module,
    TensorInfo codes,
    TensorInfo zeros,
    TensorInfo scales,
    QuantizationArgs args)
    implements StoredForm {
  private static final String CODES = ".qweight";
  private static final int BITS = 4;

  /** Where in a word the code of each of eight neighbouring outputs is. */
  private static final int[] NIBBLES = {0, 4, 1, 5, 2, 6, 3, 7};

  /**
   * All such weights of a checkpoint, by name.
   *
   * @param config its quantization_config
   */
  static Map<String, StoredForm> all(Checkpoint checkpoint, JsonNode config) {
    int bits = config.path("bits").asInt(config.path("w_bit").asInt(BITS));
    String version = config.path("version").asString("gemm").toLowerCase(Locale.ROOT);
    if (bits != BITS || !version.equals("gemm")) {
      throw new InvalidInputException(
          "%s: AutoAWQ weights of %d bits in version %s; Quench reads 4 bits in version gemm."
              .formatted(checkpoint.folder(), bits, version));
    }
    Map<String, StoredForm> forms = new LinkedHashMap<>();
    for (String name : checkpoint.tensors().keySet()) {
      if (name.endsWith(CODES)) {
        String module = name.substring(0, name.length() - CODES.length());
        forms.put(module + ".weight", of(checkpoint, module));
      }
    }
    return forms;
  }

  private static AutoAwqForm of(Checkpoint checkpoint, String module) {
    TensorInfo codes = checkpoint.require(module + CODES);
    TensorInfo zeros = checkpoint.require(module + ".qzeros");
    TensorInfo scales = checkpoint.require(module + ".scales");
    boolean matrices =
        codes.shape().rank() == 2 && zeros.shape().rank() == 2 && scales.shape().rank() == 2;
    if (!matrices
        || codes.dtype() != DType.I32
        || zeros.dtype() != DType.I32
        || (scales.dtype() != DType.F16 && scales.dtype() != DType.BF16)
        || scales.shape().dim(0) == 0
        || codes.shape().dim(0) % scales.shape().dim(0) != 0
        || !zeros.shape().equals(Shape.of(scales.shape().dim(0), codes.shape().dim(1)))
        || scales.shape().dim(1) != codes.shape().dim(1) * NIBBLES.length) {
      throw new InvalidInputException(
          "%s in %s: qweight %s %s, qzeros %s %s and scales %s %s don't make a weight."
              .formatted(
                  module,
                  codes.file(),
                  codes.dtype(),
                  codes.shape(),
                  zeros.dtype(),
                  zeros.shape(),
                  scales.dtype(),
                  scales.shape()));
    }
    int group = Math.toIntExact(codes.shape().dim(0) / scales.shape().dim(0));
    QuantizationArgs args =
        QuantizationArgsReader.read(
            Map.of("num_bits", BITS, "group_size", group, "symmetric", false), module);
    return new AutoAwqForm(checkpoint, module, codes, zeros, scales, args);
  }

  @Override
  public List<String> parts() {
    return List.of(codes.name(), zeros.name(), scales.name());
  }

  @Override
  public long rows() {
    return scales.shape().dim(1);
  }

  @Override
  public long columns() {
    return codes.shape().dim(0);
  }

  @Override
  public DType dtype() {
    return scales.dtype();
  }

  @Override
  public QuantizedWeight decode(Device device, Scope scope, Arena arena) {
    Tensor scale = scope.upload(checkpoint.read(scales.name(), arena));
    Tensor turned = scope.allocate(scales.dtype(), rows(), scale.rows());
    device.transpose(scale, turned);
    return new QuantizedWeight(
        args,
        transposed(codes, device, scope, arena),
        turned,
        transposed(zeros, device, scope, arena),
        GlobalScale.NONE);
  }

  /** One code an element, I8 [out, …]. */
  private Tensor transposed(TensorInfo packed, Device device, Scope scope, Arena arena) {
    HostTensor words = checkpoint.read(packed.name(), arena);
    long columns = words.columns() * NIBBLES.length;
    HostTensor unpacked = HostTensors.zeros(DType.I8, Shape.of(words.rows(), columns), arena);
    for (long i = 0; i < words.shape().elements(); i++) {
      int word = words.data().getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i);
      for (int j = 0; j < NIBBLES.length; j++) {
        byte code = (byte) (word >>> (BITS * NIBBLES[j]) & 0xF);
        unpacked.data().set(ValueLayout.JAVA_BYTE, i * NIBBLES.length + j, code);
      }
    }
    Tensor turned = scope.allocate(DType.I8, columns, words.rows());
    device.transpose(scope.upload(unpacked), turned);
    return turned;
  }
}
