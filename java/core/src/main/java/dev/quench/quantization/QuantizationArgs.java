package dev.quench.quantization;

import dev.quench.tensor.DType;
import java.util.Map;
import java.util.Optional;

/**
 * How one kind of tensor (the weights, the inputs or the outputs of a module) is quantized:
 * compressed-tensors' {@code QuantizationArgs}, with all of its fields, validated. Behaviour
 * reference §2.
 *
 * @param numBits bits of a code: 1 to 8 for {@code INT}, 4 or 8 for {@code FLOAT}
 * @param groupSize columns that share a scale, for {@code GROUP} and {@code TENSOR_GROUP}
 * @param blockStructure rows × columns that share a scale, for {@code BLOCK}
 */
public record QuantizationArgs(
    int numBits,
    Type type,
    boolean symmetric,
    Strategy strategy,
    Optional<Integer> groupSize,
    Optional<BlockStructure> blockStructure,
    Dynamic dynamic,
    Optional<ActOrder> actOrder,
    Optional<DType> scaleDtype,
    Optional<DType> zeroPointDtype,
    Optional<String> observer,
    Map<String, Object> observerArgs) {

  /** Kind of code. */
  public enum Type {
    INT,
    FLOAT
  }

  /** Which elements share a scale. */
  public enum Strategy {
    TENSOR,
    CHANNEL,
    GROUP,
    TENSOR_GROUP,
    BLOCK,
    TOKEN,
    ATTN_HEAD
  }

  /** When scales are computed: before, by the runtime, or (NVFP4) partly each. */
  public enum Dynamic {
    STATIC,
    DYNAMIC,
    LOCAL
  }

  /**
   * Order in which GPTQ takes the columns. {@code WEIGHT} and {@code STATIC} are the same order.
   */
  public enum ActOrder {
    GROUP,
    WEIGHT,
    STATIC
  }

  /** Rows × columns that share a scale. */
  public record BlockStructure(int rows, int columns) {}
}
