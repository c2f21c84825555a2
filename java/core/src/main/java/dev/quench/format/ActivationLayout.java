package dev.quench.format;

import dev.quench.checkpoint.OutputTensor;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.quantization.QuantizationArgs.Strategy;
import dev.quench.tensor.DType;
import dev.quench.tensor.Shape;
import java.util.ArrayList;
import java.util.List;

/**
 * The tensors that tell a runtime how to quantize some activations. Behaviour reference §5.3, §1.8.
 *
 * @param name of the activations: that of a linear and {@code .input}, or that of an attention
 *     module and {@code .q}, {@code .k} or {@code .v}
 * @param heads of the activations; 1 if they have none
 * @param scaleDtype dtype of the model's weights there, which scales have too
 */
public record ActivationLayout(String name, QuantizationArgs args, long heads, DType scaleDtype) {
  /** What a linear's name is followed by. */
  public static final String INPUT = ".input";

  /** How many scales there are. */
  public long scales() {
    return args.strategy() == Strategy.ATTN_HEAD ? heads : 1;
  }

  /** Columns that share a range. */
  public long rangeColumns(long columns) {
    return args.strategy() == Strategy.ATTN_HEAD ? columns / heads : args.blockColumns(columns);
  }

  public String scaleName() {
    return name + "_scale";
  }

  public String zeroPointName() {
    return name + "_zero_point";
  }

  public String globalScaleName() {
    return name + "_global_scale";
  }

  /** All tensors; none if the runtime finds everything by itself. */
  public List<OutputTensor> tensors() {
    List<OutputTensor> tensors = new ArrayList<>();
    if (args.dynamic() == Dynamic.LOCAL) {
      tensors.add(new OutputTensor(globalScaleName(), DType.F32, Shape.of(1)));
    }
    if (args.dynamic() == Dynamic.STATIC) {
      tensors.add(new OutputTensor(scaleName(), scaleDtype, shape()));
      if (!args.symmetric()) {
        tensors.add(new OutputTensor(zeroPointName(), DType.I8, shape()));
      }
    }
    return List.copyOf(tensors);
  }

  private Shape shape() {
    return args.strategy() == Strategy.ATTN_HEAD ? Shape.of(heads, 1, 1) : Shape.of(1);
  }
}
