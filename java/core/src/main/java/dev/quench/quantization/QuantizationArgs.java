package dev.quench.quantization;

import dev.quench.InvalidInputException;
import dev.quench.tensor.DType;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * How one kind of tensor (the weights, the inputs or the outputs of a module) is quantized:
 * compressed-tensors' {@code QuantizationArgs}, with all of its fields. Behaviour reference §2.
 * Made from a recipe or a config.json by {@link QuantizationArgsReader}, which fills in what isn't
 * said.
 *
 * @param numBits bits of a code: 1 to 8 for {@code INT}, 4 or 8 for {@code FLOAT}
 * @param groupSize columns that share a scale, for {@code GROUP} and {@code TENSOR_GROUP}
 * @param blockStructure rows × columns that share a scale, for {@code BLOCK}
 * @param scaleDtype dtype that scales are rounded to, if not the tensor's own
 * @param zeroPointDtype dtype of zero points; none if symmetric
 * @param observer how the range is found; none for fully dynamic quantization
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
   * Order in which GPTQ takes the columns. {@code WEIGHT} and {@code STATIC} name the same order.
   */
  public enum ActOrder {
    GROUP,
    WEIGHT,
    STATIC
  }

  /** Rows × columns that share a scale. */
  public record BlockStructure(int rows, int columns) {}

  /**
   * @throws InvalidInputException if the fields contradict each other; the message names them
   */
  public QuantizationArgs {
    observerArgs = Collections.unmodifiableMap(new LinkedHashMap<>(observerArgs));
    if (symmetric) {
      zeroPointDtype = Optional.empty();
    }
    if (type == Type.INT ? numBits < 1 || numBits > 8 : numBits != 4 && numBits != 8) {
      throw invalid(
          "num_bits %d can't be used with type %s: legal are 1 to 8 for int, 4 and 8 for float",
          numBits, name(type));
    }
    if (!symmetric && type == Type.FLOAT) {
      throw invalid("symmetric: false can't be used with type float; legal is true");
    }
    boolean grouped = strategy == Strategy.GROUP || strategy == Strategy.TENSOR_GROUP;
    if (grouped && (groupSize.isEmpty() || groupSize.get() <= 0)) {
      throw invalid("strategy %s needs a positive group_size", name(strategy));
    }
    if (!grouped && groupSize.isPresent() && groupSize.get() > 0) {
      throw invalid(
          "group_size %d can't be used with strategy %s; only group and tensor_group have groups",
          groupSize.get(), name(strategy));
    }
    if ((strategy == Strategy.BLOCK) != blockStructure.isPresent()) {
      throw invalid(
          strategy == Strategy.BLOCK
              ? "strategy block needs a block_structure such as [128, 128]"
              : "block_structure needs strategy block, not " + name(strategy));
    }
    if (blockStructure.isPresent()
        && (blockStructure.get().rows() <= 0 || blockStructure.get().columns() <= 0)) {
      throw invalid("block_structure must be two positive numbers");
    }
    if (strategy == Strategy.TOKEN && dynamic == Dynamic.STATIC) {
      throw invalid("strategy token needs dynamic: true, since tokens aren't known beforehand");
    }
    if (dynamic == Dynamic.DYNAMIC
        && (strategy == Strategy.CHANNEL
            || strategy == Strategy.BLOCK
            || strategy == Strategy.ATTN_HEAD)) {
      throw invalid(
          "dynamic: true can't be used with strategy %s; legal are token, tensor, group and tensor_group",
          name(strategy));
    }
    if (dynamic == Dynamic.LOCAL && strategy != Strategy.TENSOR_GROUP) {
      throw invalid(
          "dynamic: local can only be used with strategy tensor_group, not %s", name(strategy));
    }
    if (actOrder.equals(Optional.of(ActOrder.GROUP)) && !grouped) {
      throw invalid("actorder group can't be used with strategy %s", name(strategy));
    }
  }

  /** What a code stands for. */
  public CodeFormat codeFormat() {
    return type == Type.INT ? CodeFormat.INTEGER : numBits == 8 ? CodeFormat.E4M3 : CodeFormat.E2M1;
  }

  /** What scales are kept as. */
  public ScaleFormat scaleFormat() {
    if (scaleDtype.equals(Optional.of(DType.U8))) {
      return ScaleFormat.E8M0;
    }
    return scaleDtype.equals(Optional.of(DType.F8_E4M3)) ? ScaleFormat.E4M3 : ScaleFormat.NATIVE;
  }

  /** Smallest code. Integers use their full range, −128 to 127 with 8 bits. */
  public float minCode() {
    return switch (type) {
      case INT -> -(1 << (numBits - 1));
      case FLOAT -> numBits == 8 ? -448 : -6;
    };
  }

  /** Largest code. */
  public float maxCode() {
    return switch (type) {
      case INT -> (1 << (numBits - 1)) - 1;
      case FLOAT -> numBits == 8 ? 448 : 6;
    };
  }

  /** Rows that share a scale, of a tensor with that many rows. */
  public long blockRows(long rows) {
    return switch (strategy) {
      case TENSOR, ATTN_HEAD -> Math.max(rows, 1);
      case CHANNEL, TOKEN, GROUP, TENSOR_GROUP -> 1;
      case BLOCK -> blockStructure.orElseThrow().rows();
    };
  }

  /** Columns that share a scale, of a tensor with that many columns. */
  public long blockColumns(long columns) {
    return switch (strategy) {
      case TENSOR, CHANNEL, TOKEN, ATTN_HEAD -> Math.max(columns, 1);
      case GROUP, TENSOR_GROUP -> groupSize.orElseThrow();
      case BLOCK -> blockStructure.orElseThrow().columns();
    };
  }

  /** The same with another order of columns. */
  public QuantizationArgs withActOrder(Optional<ActOrder> order) {
    return new QuantizationArgs(
        numBits,
        type,
        symmetric,
        strategy,
        groupSize,
        blockStructure,
        dynamic,
        order,
        scaleDtype,
        zeroPointDtype,
        observer,
        observerArgs);
  }

  /** The same with another way to find the range. */
  public QuantizationArgs withObserver(String other) {
    return new QuantizationArgs(
        numBits,
        type,
        symmetric,
        strategy,
        groupSize,
        blockStructure,
        dynamic,
        actOrder,
        scaleDtype,
        zeroPointDtype,
        Optional.of(other),
        observerArgs);
  }

  /** The same with scales of another dtype. */
  public QuantizationArgs withScaleDtype(Optional<DType> other) {
    return new QuantizationArgs(
        numBits,
        type,
        symmetric,
        strategy,
        groupSize,
        blockStructure,
        dynamic,
        actOrder,
        other,
        zeroPointDtype,
        observer,
        observerArgs);
  }

  /** The twelve fields as config.json has them; absent ones are null. */
  public Map<String, @Nullable Object> toMap() {
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    map.put("actorder", actOrder.map(QuantizationArgs::name).orElse(null));
    map.put(
        "block_structure",
        blockStructure.map(block -> new int[] {block.rows(), block.columns()}).orElse(null));
    map.put(
        "dynamic",
        switch (dynamic) {
          case STATIC -> false;
          case DYNAMIC -> true;
          case LOCAL -> "local";
        });
    map.put("group_size", groupSize.orElse(null));
    map.put("num_bits", numBits);
    map.put("observer", observer.orElse(null));
    map.put("observer_kwargs", observerArgs);
    map.put("scale_dtype", scaleDtype.map(TorchDtypes::name).orElse(null));
    map.put("strategy", name(strategy));
    map.put("symmetric", symmetric);
    map.put("type", name(type));
    map.put("zp_dtype", zeroPointDtype.map(TorchDtypes::name).orElse(null));
    return map;
  }

  static String name(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private static InvalidInputException invalid(String message, Object... values) {
    return new InvalidInputException(message.formatted(values));
  }
}
