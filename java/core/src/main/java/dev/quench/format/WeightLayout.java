package dev.quench.format;

import dev.quench.checkpoint.OutputTensor;
import dev.quench.quantization.CompressionFormat;
import dev.quench.quantization.QuantizationArgs;
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
 * @param scaleDtype dtype of the original weight
 */
public record WeightLayout(
    String module,
    long rows,
    long columns,
    DType scaleDtype,
    QuantizationArgs args,
    CompressionFormat format) {

  /** True if codes are bit-packed into 32-bit words. */
  public boolean packed() {
    return format == CompressionFormat.PACK_QUANTIZED;
  }

  /** Rows of the scale. */
  public long scaleRows() {
    return Math.ceilDiv(rows, args.blockRows(rows));
  }

  /** Columns of the scale. */
  public long scaleColumns() {
    return Math.ceilDiv(columns, args.blockColumns(columns));
  }

  /** I8 or F8_E4M3: what one code is. */
  public DType codeDtype() {
    return args.type() == QuantizationArgs.Type.FLOAT ? DType.F8_E4M3 : DType.I8;
  }

  /** Words of a packed row. */
  public long packedColumns() {
    return Math.ceilDiv(columns * args.numBits(), 32);
  }

  /** True if a zero point is stored packed along the rows. */
  public boolean packedZeroPoint() {
    return packed() && args.strategy() != QuantizationArgs.Strategy.TENSOR;
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

  public String shapeName() {
    return module + ".weight_shape";
  }

  /** All tensors, in the order in which they are written. */
  public List<OutputTensor> tensors() {
    List<OutputTensor> tensors = new ArrayList<>();
    if (packed()) {
      tensors.add(new OutputTensor(codesName(), DType.I32, Shape.of(rows, packedColumns())));
    } else {
      tensors.add(new OutputTensor(codesName(), codeDtype(), Shape.of(rows, columns)));
    }
    tensors.add(new OutputTensor(scaleName(), scaleDtype, scaleShape()));
    if (!args.symmetric()) {
      tensors.add(
          packedZeroPoint()
              ? new OutputTensor(
                  zeroPointName(),
                  DType.I32,
                  Shape.of(Math.ceilDiv(scaleRows() * args.numBits(), 32), scaleColumns()))
              : new OutputTensor(zeroPointName(), DType.I8, scaleShape()));
    }
    if (packed()) {
      tensors.add(new OutputTensor(shapeName(), DType.I64, Shape.of(2)));
    }
    return tensors;
  }

  private Shape scaleShape() {
    return args.strategy() == QuantizationArgs.Strategy.TENSOR
        ? Shape.of(1)
        : Shape.of(scaleRows(), scaleColumns());
  }
}
