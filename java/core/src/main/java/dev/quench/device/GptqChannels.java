package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.quench.quantization.CodeFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;

/**
 * GPTQ's inner loop for some output channels. Their errors stay in the heap and the second-level
 * cache for the whole block, and a pair of rows gathers what those before it propagate only when
 * its turn comes, so that each error is loaded once for two rows.
 *
 * <p>An object is scratch memory of one task.
 */
final class GptqChannels {
  /** Channels of a task. */
  static final int CHANNELS = 256;

  /** What {@link CpuSolver} is asked for. */
  record Problem(
      HostMatrix w,
      HostMatrix u,
      HostMatrix scale,
      HostMatrix zeroPoint,
      HostMatrix group,
      QuantizationArgs args,
      DType roundTo,
      HostMatrix codes,
      HostMatrix error,
      HostMatrix loss) {}

  private final float[] current = new float[CHANNELS];
  private final float[] next = new float[CHANNELS];
  private final float[] units = new float[CHANNELS];
  private final float[] scales = new float[CHANNELS];
  private final float[] zeroPoints = new float[CHANNELS];
  private final float[] losses = new float[CHANNELS];
  private final byte[] bytes = new byte[CHANNELS];
  private final Plane rounded = new Plane();
  private float[][] errors = new float[0][];

  /** The row of scales and zero points that were read last. */
  private int group;

  /** Solves channels from … from + count − 1. */
  void solve(Problem p, long from, int count) {
    int block = Math.toIntExact(p.w.rows());
    reserve(block);
    read(p.loss, 0, from, losses, count);
    group = -1;
    for (int i = 0; i < block; i += 2) {
      boolean pair = i + 1 < block;
      read(p.w, i, from, current, count);
      if (pair) {
        read(p.w, i + 1, from, next, count);
      }
      propagate(p.u, i, pair ? i + 1 : i, count);
      round(p, i, from, current, count);
      if (pair) {
        Lanes.subtractProduct(next, errors[i], factor(p.u, i, i + 1), count);
        round(p, i + 1, from, next, count);
      }
    }
    MemorySegment.copy(
        losses, 0, p.loss.memory(), JAVA_FLOAT_UNALIGNED, p.loss.offset(0, from), count);
  }

  /**
   * {@code current −= Σ over j < i of u[j, i] · errors[j]}, in that order; {@code next} likewise
   * with column {@code other}.
   */
  private void propagate(HostMatrix u, int i, int other, int count) {
    int j = 0;
    for (; j + 4 <= i; j += 4) {
      Lanes.subtractProducts(
          current,
          next,
          errors[j],
          factor(u, j, i),
          factor(u, j, other),
          errors[j + 1],
          factor(u, j + 1, i),
          factor(u, j + 1, other),
          errors[j + 2],
          factor(u, j + 2, i),
          factor(u, j + 2, other),
          errors[j + 3],
          factor(u, j + 3, i),
          factor(u, j + 3, other),
          count);
    }
    for (; j < i; j++) {
      Lanes.subtractProduct(current, errors[j], factor(u, j, i), count);
      Lanes.subtractProduct(next, errors[j], factor(u, j, other), count);
    }
  }

  /** Rounds row i, whose weights have taken the errors of the rows before it, and writes it. */
  private void round(Problem p, int i, long from, float[] weights, int count) {
    int groupOfRow = p.group.memory().get(JAVA_INT_UNALIGNED, p.group.offset(0, i));
    if (groupOfRow != group) {
      group = groupOfRow;
      read(p.scale, group, from, scales, count);
      read(p.zeroPoint, group, from, zeroPoints, count);
    }
    round(p.args, p.roundTo, weights, count);
    Lanes.errors(weights, rounded.values, factor(p.u, i, i), errors[i], losses, count);
    MemorySegment.copy(
        errors[i], 0, p.error.memory(), JAVA_FLOAT_UNALIGNED, p.error.offset(i, from), count);
    for (int o = 0; o < count; o++) {
      bytes[o] = (byte) rounded.codes[o];
    }
    MemorySegment.copy(bytes, 0, p.codes.memory(), JAVA_BYTE, p.codes.offset(i, from), count);
  }

  private static float factor(HostMatrix u, int j, int i) {
    return u.memory().get(JAVA_FLOAT_UNALIGNED, u.offset(j, i));
  }

  /** Codes of weights, and the values that they stand for. */
  private void round(QuantizationArgs args, DType roundTo, float[] weights, int count) {
    if (args.type() == Type.INT) {
      Lanes.toIntegers(
          weights,
          scales,
          zeroPoints,
          (int) args.minCode(),
          (int) args.maxCode(),
          rounded.codes,
          rounded.values,
          count);
    } else {
      System.arraycopy(weights, 0, rounded.values, 0, count);
      Lanes.divide(rounded.values, scales, count);
      Lanes.add(rounded.values, zeroPoints, count);
      CodeFormat format = args.codeFormat();
      rounded.toFloatCodes(format, count);
      for (int o = 0; o < count; o++) {
        units[o] = format.toFloat((byte) rounded.codes[o]);
      }
      System.arraycopy(units, 0, rounded.values, 0, count);
      Lanes.subtract(rounded.values, zeroPoints, count);
      Lanes.multiply(rounded.values, scales, count);
    }
    rounded.round(roundTo, count);
  }

  private void reserve(int block) {
    if (errors.length < block) {
      errors = new float[block][CHANNELS];
    }
  }

  private static void read(HostMatrix x, long row, long column, float[] target, int count) {
    MemorySegment.copy(x.memory(), JAVA_FLOAT_UNALIGNED, x.offset(row, column), target, 0, count);
  }
}
