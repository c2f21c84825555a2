package dev.quench.format;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.quantization.GlobalScale;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.util.function.Function;

/** Reads the tensors of a {@link WeightLayout} back: the inverse of {@link WeightEncoder}. */
public final class WeightDecoder {
  private final Device device;

  public WeightDecoder(Device device) {
    this.device = device;
  }

  /**
   * @param read gives the tensor of a name; what it returns must stay valid as long as {@code
   *     scope}
   */
  public QuantizedWeight decode(
      WeightLayout layout, Function<String, HostTensor> read, Scope scope) {
    Tensor stored = scope.upload(read.apply(layout.codesName()));
    Tensor codes = stored;
    if (layout.packed()) {
      codes = scope.allocate(layout.args().codeFormat().dtype(), layout.rows(), layout.columns());
      device.unpack(stored, layout.args().numBits(), codes);
    }
    return new QuantizedWeight(
        layout.args(),
        codes,
        scale(layout, read, scope),
        zeroPoint(layout, read, scope),
        globalScale(layout, read));
  }

  /**
   * Some rows of a weight, without the rest; not of one whose blocks are cut from several rows.
   *
   * @param index of the rows
   * @param read as {@link #decode} has it
   */
  public QuantizedWeight decodeRows(
      WeightLayout layout, int[] index, Function<String, HostTensor> read, Scope scope) {
    Tensor rows = scope.ints(index);
    Tensor stored = gather(scope.upload(read.apply(layout.codesName())), rows, scope);
    Tensor codes = stored;
    if (layout.packed()) {
      codes = scope.allocate(layout.args().codeFormat().dtype(), index.length, layout.columns());
      device.unpack(stored, layout.args().numBits(), codes);
    }
    Tensor scale = scale(layout, read, scope);
    Tensor zeroPoint = zeroPoint(layout, read, scope);
    boolean perRow = layout.scaleRows() == layout.rows();
    return new QuantizedWeight(
        layout.args(),
        codes,
        perRow ? gather(scale, rows, scope) : scale,
        perRow ? gather(zeroPoint, rows, scope) : zeroPoint,
        globalScale(layout, read));
  }

  private Tensor gather(Tensor source, Tensor rows, Scope scope) {
    Tensor gathered = scope.allocate(source.dtype(), rows.columns(), source.columns());
    device.gatherRows(source, rows, gathered);
    return gathered;
  }

  private static Tensor scale(WeightLayout layout, Function<String, HostTensor> read, Scope scope) {
    return scope.upload(read.apply(layout.scaleName()).reinterpret(layout.deviceScaleDtype()));
  }

  private static float globalScale(WeightLayout layout, Function<String, HostTensor> read) {
    return layout.hasGlobalScale()
        ? read.apply(layout.globalScaleName()).floatAt(0)
        : GlobalScale.NONE;
  }

  private Tensor zeroPoint(WeightLayout layout, Function<String, HostTensor> read, Scope scope) {
    long rows = layout.scaleRows();
    long columns = layout.scaleColumns();
    if (layout.args().symmetric()) {
      return scope.zeros(DType.I8, rows, columns);
    }
    Tensor stored = scope.upload(read.apply(layout.zeroPointName()));
    if (!layout.packedZeroPoint()) {
      return stored;
    }
    Tensor words = scope.allocate(DType.I32, columns, stored.rows());
    device.transpose(stored, words);
    Tensor transposed = scope.allocate(DType.I8, columns, rows);
    device.unpack(words, layout.args().numBits(), transposed);
    Tensor zeroPoint = scope.allocate(DType.I8, rows, columns);
    device.transpose(transposed, zeroPoint);
    return zeroPoint;
  }
}
