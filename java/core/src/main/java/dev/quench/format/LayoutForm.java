package dev.quench.format;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.quantization.ScaleFormat;
import dev.quench.tensor.DType;
import java.lang.foreign.Arena;
import java.util.List;

/**
 * A weight of a compressed-tensors checkpoint.
 *
 * @param dtype of the scales, or the model's if scales have one of their own
 */
public record LayoutForm(Checkpoint checkpoint, WeightLayout layout, DType dtype)
    implements StoredForm {

  /**
   * @throws InvalidInputException if a tensor is missing, or isn't what the layout makes it
   */
  public static LayoutForm of(Checkpoint checkpoint, WeightLayout layout) {
    for (OutputTensor expected : layout.tensors()) {
      TensorInfo found = checkpoint.require(expected.name());
      expected.require(found.name() + " in " + found.file(), found.dtype(), found.shape());
    }
    boolean native16 =
        layout.args().scaleFormat() == ScaleFormat.NATIVE && layout.scaleDtype().bits() == 16;
    DType dtype =
        native16 ? layout.scaleDtype() : ModelDtype.of(checkpoint, layout.deviceScaleDtype());
    return new LayoutForm(checkpoint, layout, dtype);
  }

  @Override
  public List<String> parts() {
    return layout.tensors().stream().map(OutputTensor::name).toList();
  }

  @Override
  public long rows() {
    return layout.rows();
  }

  @Override
  public long columns() {
    return layout.columns();
  }

  @Override
  public QuantizedWeight decode(Device device, Scope scope, Arena arena) {
    return new WeightDecoder(device).decode(layout, name -> checkpoint.read(name, arena), scope);
  }
}
