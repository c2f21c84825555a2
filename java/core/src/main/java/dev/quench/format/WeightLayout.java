package dev.quench.format;

import dev.quench.checkpoint.OutputTensor;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Strategy;
import dev.quench.quantization.ScaleFormat;
import dev.quench.tensor.DType;
import dev.quench.tensor.Shape;
import java.util.ArrayList;
import java.util.List;

/**
 * The tensors that one compressed weight becomes in a compressed-tensors checkpoint: names, dtypes
 * and shapes, which follow from the scheme alone. Behaviour reference §5.3.
 *
 * @param module name of the module
 * @param rows out features
 * @param columns in features
 * @param scaleDtype dtype of the original weight, which its scales have if the scheme names no
 *     other
 */
public record WeightLayout(
    String module,
    long rows,
    long columns,
    DType scaleDtype,
    QuantizationArgs args,
    CompressionFormat format) {

  /** True if codes are packed densely. */
  public boolean packed() {
    return switch (format) {
      case PACK_QUANTIZED, NVFP4_PACK_QUANTIZED, MXFP4_PACK_QUANTIZED -> true;
      default -> false;
    };
  }

  /** True if the shape is stored: that of packed integers doesn't follow from their words. */
  private boolean hasShape() {
    return format == CompressionFormat.PACK_QUANTIZED;
  }

  /** True if there is a global scale. */
  public boolean hasGlobalScale() {
    return args.scaleFormat() == ScaleFormat.E4M3;
  }

  /** Rows of the scale. */
  public long scaleRows() {
    return Math.ceilDiv(rows, args.blockRows(rows));
  }

  /** Columns of the scale. */
  public long scaleColumns() {
    return Math.ceilDiv(columns, args.blockColumns(columns));
  }

  /** Element type of the codes as they are stored. */
  public DType codesDtype() {
    return packed() ? args.codeFormat().packedDtype().orElseThrow() : args.codeFormat().dtype();
  }

  /** Elements of a row of codes as they are stored. */
  public long codesColumns() {
    return packed() ? Math.ceilDiv(columns * args.numBits(), codesDtype().bits()) : columns;
  }

  /** Element type of scales on a device. */
  public DType deviceScaleDtype() {
    return args.scaleFormat().dtype(scaleDtype);
  }

  /** Element type of scales as they are stored. compressed-tensors writes exponents as U8. */
  private DType storedScaleDtype() {
    DType dtype = deviceScaleDtype();
    return dtype == DType.F8_E8M0 ? DType.U8 : dtype;
  }

  /** True if a zero point is stored packed along the rows. */
  public boolean packedZeroPoint() {
    return packed() && (args.strategy() == Strategy.GROUP || args.strategy() == Strategy.CHANNEL);
  }

  public String codesName() {
    return module + (packed() ? ".weight_packed" : ".weight");
  }

  public String scaleName() {
    return module + ".weight_scale";
  }

  public String zeroPointName() {
    return module + ".weight_zero_point";
  }

  public String globalScaleName() {
    return module + ".weight_global_scale";
  }

  public String shapeName() {
    return module + ".weight_shape";
  }

  /** All tensors, in the order in which they are written. */
  public List<OutputTensor> tensors() {
    List<OutputTensor> tensors = new ArrayList<>();
    tensors.add(new OutputTensor(codesName(), codesDtype(), Shape.of(rows, codesColumns())));
    tensors.add(new OutputTensor(scaleName(), storedScaleDtype(), scaleShape()));
    if (hasGlobalScale()) {
      tensors.add(new OutputTensor(globalScaleName(), DType.F32, Shape.of(1)));
    }
    if (!args.symmetric()) {
      tensors.add(
          packedZeroPoint()
              ? new OutputTensor(
                  zeroPointName(),
                  DType.I32,
                  Shape.of(Math.ceilDiv(scaleRows() * args.numBits(), 32), scaleColumns()))
              : new OutputTensor(zeroPointName(), DType.I8, scaleShape()));
    }
    if (hasShape()) {
      tensors.add(new OutputTensor(shapeName(), DType.I64, Shape.of(2)));
    }
    return tensors;
  }

  private Shape scaleShape() {
    return args.strategy() == Strategy.TENSOR ? Shape.of(1) : Shape.of(scaleRows(), scaleColumns());
  }
}
