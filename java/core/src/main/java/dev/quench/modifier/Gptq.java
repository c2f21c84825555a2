package dev.quench.modifier;

import dev.quench.calibration.Hessian;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * GPTQ (Frantar et al. 2022, arXiv 2210.17323): rounds a weight column by column, and after each
 * column moves the columns to come so that they make up for its error, as far as the Hessian of the
 * input allows. Algorithm 1 of the paper, with scales fixed beforehand and, if asked for, the
 * columns taken by falling importance while each keeps the scale of its original place ("static"
 * act-order).
 *
 * <p>The weight is worked on transposed: a column of the paper is a contiguous row here, so that
 * reordering columns copies rows and all output channels advance together.
 */
public final class Gptq {
  /**
   * @param blockSize columns that are rounded before their errors are applied to the rest in one
   *     matrix product
   * @param damping added to the Hessian's diagonal, as a fraction of its mean
   */
  public record Options(int blockSize, double damping) {
    public static final Options DEFAULT = new Options(128, 0.01);
  }

  /**
   * What became of a weight.
   *
   * @param loss ½·Σ (w − ŵ)²/U² as the paper counts it: the squared output error per calibration
   *     sequence
   */
  public record Solution(QuantizedWeight weight, double loss) {}

  private final Device device;
  private final Options options;
  private final Hessian hessian;
  private final InverseFactor factor;

  private Gptq(Device device, Options options, Hessian hessian, InverseFactor factor) {
    this.device = device;
    this.options = options;
    this.hessian = hessian;
    this.factor = factor;
  }

  /**
   * Factors the Hessian, once for all linears that share the input.
   *
   * @param actOrder take the columns by falling importance
   * @param where the module or step, for messages
   * @param scope owns the factor
   * @return empty if the Hessian isn't positive definite even with the damping raised a
   *     thousandfold
   * @throws dev.quench.QuenchException if the Hessian holds NaN or infinity
   */
  public static Optional<Gptq> prepare(
      Device device,
      Options options,
      Hessian hessian,
      boolean actOrder,
      String where,
      Scope scope) {
    return InverseFactor.of(device, hessian, options.damping(), actOrder, where, scope)
        .map(factor -> new Gptq(device, options, hessian, factor));
  }

  /** How often the damping had to be raised tenfold. */
  public int dampings() {
    return factor.dampings();
  }

  /**
   * Rounds one weight.
   *
   * @param original [out, in] as in the checkpoint: its scales are taken from this, in its dtype
   * @param weight F32 [out, in]: the values to round; unchanged
   * @param importance of the input channels, as {@link WeightRange#of} has it
   * @param scope owns the result
   */
  public Solution solve(
      Tensor original,
      Tensor weight,
      QuantizationArgs args,
      Optional<Tensor> importance,
      Scope scope) {
    QuantizedWeight result = Rtn.allocate(original, args, GlobalScale.NONE, scope);
    observe(original, result, args, importance);
    try (Scope work = device.openScope()) {
      double loss = round(weight, result, original.dtype(), work);
      return new Solution(result, loss);
    }
  }

  private void observe(
      Tensor original, QuantizedWeight result, QuantizationArgs args, Optional<Tensor> importance) {
    try (Scope work = device.openScope()) {
      WeightRange range = WeightRange.of(device, original, args, importance, work);
      device.quantizationParameters(
          range.min(), range.max(), args, result.scale(), result.zeroPoint());
    }
  }

  private double round(Tensor weight, QuantizedWeight result, DType roundTo, Scope work) {
    long channels = weight.rows();
    long columns = weight.columns();
    QuantizationArgs args = result.args();
    Tensor w = orderedTransposed(weight, work);
    Tensor scale = perChannel(result.scale(), DType.F32, args, channels, work);
    Tensor zeroPoint = perChannel(result.zeroPoint(), DType.F32, args, channels, work);
    Tensor group = work.ints(groups(args.blockColumns(columns)));
    Tensor codes = work.allocate(result.codes().dtype(), columns, channels);
    Tensor error = work.allocate(DType.F32, Math.min(options.blockSize(), columns), channels);
    Tensor loss = work.zeros(DType.F32, 1, channels);

    for (long from = 0; from < columns; from += options.blockSize()) {
      long block = Math.min(options.blockSize(), columns - from);
      long rest = columns - from - block;
      Tensor blockError = error.rows(0, block);
      device.gptqBlock(
          w.rows(from, block),
          factor.u().slice(from, block, from, block),
          scale,
          zeroPoint,
          group.columns(from, block),
          args,
          roundTo,
          codes.rows(from, block),
          blockError,
          loss);
      if (rest > 0) {
        Tensor coupling = factor.u().slice(from, block, from + block, rest);
        device.gemm(-1, coupling, true, blockError, false, 1, w.rows(from + block, rest));
      }
    }

    Tensor unordered = work.allocate(codes.dtype(), columns, channels);
    device.gatherRows(codes, work.ints(factor.position()), unordered);
    device.transpose(unordered, result.codes());
    return sum(loss) * hessian.lossFactor() / 2;
  }

  /** The weight transposed, its columns in the factor's order, dead ones zero. */
  private Tensor orderedTransposed(Tensor weight, Scope work) {
    Tensor ordered = work.allocate(DType.F32, weight.columns(), weight.rows());
    try (Scope staging = device.openScope()) {
      Tensor transposed = staging.allocate(DType.F32, weight.columns(), weight.rows());
      device.transpose(weight, transposed);
      device.gatherRows(transposed, staging.ints(factor.order()), ordered);
      Tensor zero = staging.zeros(DType.F32, 1, weight.rows());
      for (int position : factor.dead()) {
        device.convert(zero, ordered.rows(position, 1));
      }
    }
    return ordered;
  }

  /** Which row of the per-channel scales each column, in the factor's order, uses. */
  private int[] groups(long blockColumns) {
    int[] group = new int[factor.order().length];
    for (int i = 0; i < group.length; i++) {
      group[i] = Math.toIntExact(factor.order()[i] / blockColumns);
    }
    return group;
  }

  /**
   * Parameters [block rows, block columns] as F32 [block columns, channels]: transposed, and
   * repeated for the channels that share them.
   */
  private Tensor perChannel(
      Tensor parameters, DType dtype, QuantizationArgs args, long channels, Scope work) {
    Tensor values = work.allocate(dtype, parameters.rows(), parameters.columns());
    device.convert(parameters, values);
    Tensor repeated = values;
    if (parameters.rows() != channels) {
      long blockRows = args.blockRows(channels);
      int[] source = new int[Math.toIntExact(channels)];
      for (int o = 0; o < source.length; o++) {
        source[o] = Math.toIntExact(o / blockRows);
      }
      repeated = work.allocate(dtype, channels, parameters.columns());
      device.gatherRows(values, work.ints(source), repeated);
    }
    Tensor transposed = work.allocate(dtype, parameters.columns(), channels);
    device.transpose(repeated, transposed);
    return transposed;
  }

  private double sum(Tensor row) {
    try (Arena arena = Arena.ofConfined()) {
      long n = row.columns();
      MemorySegment memory = arena.allocate(n * Float.BYTES, 64);
      device.download(row, new HostTensor(DType.F32, Shape.of(1, n), memory));
      double sum = 0;
      for (long i = 0; i < n; i++) {
        sum += memory.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      }
      return sum;
    }
  }
}
