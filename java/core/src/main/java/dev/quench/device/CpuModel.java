package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import dev.quench.quantization.Rounding;
import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** Norms, positions, activations and probabilities on the CPU. A row is summed in a fixed order. */
final class CpuModel {
  private static final VectorSpecies<Float> S = VectorShapes.FLOAT;
  private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;

  /** Elements of a piece of a row: what is computed of it stays in the first-level cache. */
  private static final int PIECE = 1024;

  private static final long TASK_ELEMENTS = 1 << 16;

  /** Exponentials that are summed in float32 before they go to a double. */
  private static final long SUM_BLOCK = 512;

  /** Pieces of rows in the heap, where loops over them become vector code; of one task. */
  private static final class Pieces {
    final float[] a = new float[PIECE];
    final float[] b = new float[PIECE];
    final float[] c = new float[PIECE];
  }

  private final Workers workers;
  private final HostPool pool;
  private final Spares<Pieces> spares = new Spares<>(Pieces::new);

  CpuModel(Workers workers, HostPool pool) {
    this.workers = workers;
    this.pool = pool;
  }

  void add(Tensor x, Tensor y) {
    HostMatrix from = f32(x);
    HostMatrix to = f32(y);
    from.require(to.rows(), to.columns());
    overRows(
        to,
        row ->
            addRow(
                from.memory(), from.offset(row, 0), to.memory(), to.offset(row, 0), to.columns()));
  }

  void round(Tensor x, DType dtype) {
    HostMatrix matrix = f32(x);
    overRows(
        matrix,
        row -> {
          long at = matrix.offset(row, 0);
          MemorySegment memory = matrix.memory();
          for (long i = 0; i < matrix.columns(); i++) {
            float value = memory.get(JAVA_FLOAT_UNALIGNED, at + i * 4);
            memory.set(JAVA_FLOAT_UNALIGNED, at + i * 4, Rounding.to(dtype, value));
          }
        });
  }

  void scaleColumns(Tensor factors, Tensor y) {
    HostMatrix scales = f32(factors);
    HostMatrix to = f32(y);
    scales.require(1, to.columns());
    overRows(
        to,
        row -> {
          long at = to.offset(row, 0);
          for (long i = 0; i < to.columns(); i++) {
            float value = to.memory().get(JAVA_FLOAT_UNALIGNED, at + i * 4);
            float factor = scales.memory().get(JAVA_FLOAT_UNALIGNED, i * 4);
            to.memory().set(JAVA_FLOAT_UNALIGNED, at + i * 4, value * factor);
          }
        });
  }

  void addRow(Tensor bias, Tensor y) {
    HostMatrix from = f32(bias);
    HostMatrix to = f32(y);
    from.require(1, to.columns());
    overRows(to, row -> addRow(from.memory(), 0, to.memory(), to.offset(row, 0), to.columns()));
  }

  private static void addRow(MemorySegment x, long from, MemorySegment y, long to, long count) {
    long bulk = S.loopBound(count);
    for (long i = 0; i < bulk; i += S.length()) {
      FloatVector.fromMemorySegment(S, y, to + i * 4, LE)
          .add(FloatVector.fromMemorySegment(S, x, from + i * 4, LE))
          .intoMemorySegment(y, to + i * 4, LE);
    }
    for (long i = bulk; i < count; i++) {
      float sum =
          y.get(JAVA_FLOAT_UNALIGNED, to + i * 4) + x.get(JAVA_FLOAT_UNALIGNED, from + i * 4);
      y.set(JAVA_FLOAT_UNALIGNED, to + i * 4, sum);
    }
  }

  void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    HostMatrix from = f32(x);
    HostMatrix scale = f32(weight);
    HostMatrix to = f32(y);
    to.require(from.rows(), from.columns());
    scale.require(1, from.columns());
    overPieces(to, (row, pieces) -> normRow(from, scale, row, epsilon, to, pieces));
  }

  private static void normRow(
      HostMatrix x, HostMatrix weight, long row, float epsilon, HostMatrix y, Pieces pieces) {
    float sum = 0;
    for (long at = 0; at < x.columns(); at += PIECE) {
      int count = load(x, row, at, x.columns() - at, pieces.a);
      sum += Lanes.sumOfSquares(pieces.a, count);
    }
    float factor = (float) (1 / Math.sqrt(sum / x.columns() + epsilon));
    for (long at = 0; at < x.columns(); at += PIECE) {
      int count = load(x, row, at, x.columns() - at, pieces.a);
      count = load(weight, 0, at, count, pieces.b);
      Lanes.scale(pieces.a, factor, pieces.b, count);
      store(pieces.a, y, row, at, count);
    }
  }

  void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin) {
    HostMatrix states = f32(x);
    HostMatrix at = HostMatrix.of(positions).require(DType.I32).require(1, states.rows());
    HostMatrix cosines = f32(cos);
    HostMatrix sines = f32(sin).require(cosines.rows(), cosines.columns());
    if (states.columns() % headDim != 0 || 2 * cosines.columns() > headDim) {
      throw new IllegalArgumentException(
          states + " in heads of " + headDim + ", turned by " + cosines);
    }
    overRows(
        states,
        row -> {
          int position = FloatAccess.getInt(at, row);
          if (position < 0 || position >= cosines.rows()) {
            throw new IllegalArgumentException("position " + position + " of " + cosines);
          }
          long cosine = cosines.offset(position, 0);
          long sine = sines.offset(position, 0);
          for (long head = 0; head < states.columns(); head += headDim) {
            turn(
                states.memory(),
                states.offset(row, head),
                cosines.memory(),
                cosine,
                sines.memory(),
                sine,
                cosines.columns());
          }
        });
  }

  private static void turn(
      MemorySegment x,
      long at,
      MemorySegment cos,
      long cosine,
      MemorySegment sin,
      long sine,
      long half) {
    long bulk = S.loopBound(half);
    long second = at + half * 4;
    for (long i = 0; i < bulk; i += S.length()) {
      FloatVector a = FloatVector.fromMemorySegment(S, x, at + i * 4, LE);
      FloatVector b = FloatVector.fromMemorySegment(S, x, second + i * 4, LE);
      FloatVector c = FloatVector.fromMemorySegment(S, cos, cosine + i * 4, LE);
      FloatVector s = FloatVector.fromMemorySegment(S, sin, sine + i * 4, LE);
      a.mul(c).sub(b.mul(s)).intoMemorySegment(x, at + i * 4, LE);
      b.mul(c).add(a.mul(s)).intoMemorySegment(x, second + i * 4, LE);
    }
    for (long i = bulk; i < half; i++) {
      float a = x.get(JAVA_FLOAT_UNALIGNED, at + i * 4);
      float b = x.get(JAVA_FLOAT_UNALIGNED, second + i * 4);
      float c = cos.get(JAVA_FLOAT_UNALIGNED, cosine + i * 4);
      float s = sin.get(JAVA_FLOAT_UNALIGNED, sine + i * 4);
      x.set(JAVA_FLOAT_UNALIGNED, at + i * 4, a * c - b * s);
      x.set(JAVA_FLOAT_UNALIGNED, second + i * 4, b * c + a * s);
    }
  }

  void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y) {
    HostMatrix gates = f32(gate);
    HostMatrix ups = f32(up);
    HostMatrix to = f32(y);
    gates.require(to.rows(), to.columns());
    ups.require(to.rows(), to.columns());
    overBands(
        to,
        (begin, end) -> {
          Pieces pieces = spares.take();
          HostPool.Buffer scratch = pool.take(PIECE * 4L);
          for (long row = begin; row < end; row++) {
            switch (activation) {
              case SILU -> siluRow(gates, ups, row, to, scratch.memory(), pieces);
            }
          }
          pool.give(scratch);
          spares.give(pieces);
        });
  }

  private static void siluRow(
      HostMatrix gate,
      HostMatrix up,
      long row,
      HostMatrix y,
      MemorySegment scratch,
      Pieces pieces) {
    for (long at = 0; at < y.columns(); at += PIECE) {
      int count = load(gate, row, at, y.columns() - at, pieces.a);
      float unusedSum = Exp.decay(gate.memory(), gate.offset(row, at), 0, scratch, 0, count);
      MemorySegment.copy(scratch, JAVA_FLOAT_UNALIGNED, 0, pieces.b, 0, count);
      count = load(up, row, at, count, pieces.c);
      Lanes.silu(pieces.a, pieces.b, pieces.c, count);
      store(pieces.c, y, row, at, count);
    }
  }

  /** Copies elements of a row, at most a piece; returns how many. */
  private static int load(HostMatrix x, long row, long column, long wanted, float[] piece) {
    int count = (int) Math.min(PIECE, wanted);
    MemorySegment.copy(x.memory(), JAVA_FLOAT_UNALIGNED, x.offset(row, column), piece, 0, count);
    return count;
  }

  private static void store(float[] piece, HostMatrix y, long row, long column, int count) {
    MemorySegment.copy(piece, 0, y.memory(), JAVA_FLOAT_UNALIGNED, y.offset(row, column), count);
  }

  void logProbability(Tensor logits, Tensor targets, Tensor out) {
    HostMatrix from = f32(logits);
    HostMatrix wanted = HostMatrix.of(targets).require(DType.I32).require(1, from.rows());
    HostMatrix to = f32(out);
    to.require(1, from.rows());
    workers.run(
        from.rows(),
        row -> {
          int target = FloatAccess.getInt(wanted, row);
          if (target < 0 || target >= from.columns()) {
            throw new IllegalArgumentException("token " + target + " of " + from);
          }
          float logit = from.memory().get(JAVA_FLOAT_UNALIGNED, from.offset(row, target));
          double normalizer = logSumExp(from.memory(), from.offset(row, 0), from.columns());
          to.memory().set(JAVA_FLOAT_UNALIGNED, row * 4, (float) (logit - normalizer));
        });
  }

  private double logSumExp(MemorySegment x, long from, long count) {
    float max = max(x, from, count);
    HostPool.Buffer scratch = pool.take(SUM_BLOCK * 4);
    double sum = 0;
    for (long block = 0; block < count; block += SUM_BLOCK) {
      long length = Math.min(SUM_BLOCK, count - block);
      sum += Exp.decay(x, from + block * 4, max, scratch.memory(), 0, length);
    }
    pool.give(scratch);
    return max + Math.log(sum);
  }

  /**
   * The largest number; NaNs are skipped. Four running maxima, since each step of one waits for the
   * step before.
   */
  static float max(MemorySegment x, long from, long count) {
    long step = 4L * S.length();
    long bulk = count - count % step;
    FloatVector a = FloatVector.broadcast(S, Float.NEGATIVE_INFINITY);
    FloatVector b = a;
    FloatVector c = a;
    FloatVector d = a;
    for (long i = 0; i < bulk; i += step) {
      long at = from + i * 4;
      FloatVector v = FloatVector.fromMemorySegment(S, x, at, LE);
      a = a.blend(v, a.lt(v));
      v = FloatVector.fromMemorySegment(S, x, at + step, LE);
      b = b.blend(v, b.lt(v));
      v = FloatVector.fromMemorySegment(S, x, at + 2 * step, LE);
      c = c.blend(v, c.lt(v));
      v = FloatVector.fromMemorySegment(S, x, at + 3 * step, LE);
      d = d.blend(v, d.lt(v));
    }
    float max = a.max(b).max(c.max(d)).reduceLanes(VectorOperators.MAX);
    for (long i = bulk; i < count; i++) {
      float v = x.get(JAVA_FLOAT_UNALIGNED, from + i * 4);
      max = max < v ? v : max;
    }
    return max;
  }

  /** What becomes of a row. */
  @FunctionalInterface
  private interface RowTask {
    void run(long row, Pieces pieces);
  }

  private void overPieces(HostMatrix matrix, RowTask task) {
    overBands(
        matrix,
        (begin, end) -> {
          Pieces pieces = spares.take();
          for (long row = begin; row < end; row++) {
            task.run(row, pieces);
          }
          spares.give(pieces);
        });
  }

  private void overRows(HostMatrix matrix, Workers.Task task) {
    overBands(
        matrix,
        (begin, end) -> {
          for (long row = begin; row < end; row++) {
            task.run(row);
          }
        });
  }

  /** Some rows. */
  @FunctionalInterface
  private interface Band {
    void run(long begin, long end);
  }

  private void overBands(HostMatrix matrix, Band band) {
    long rows = Math.max(1, TASK_ELEMENTS / Math.max(1, matrix.columns()));
    workers.run(
        Math.ceilDiv(matrix.rows(), rows),
        part -> band.run(part * rows, Math.min(matrix.rows(), (part + 1) * rows)));
  }

  static HostMatrix f32(Tensor tensor) {
    HostMatrix matrix = HostMatrix.of(tensor);
    if (matrix.dtype() != DType.F32) {
      throw new IllegalArgumentException(matrix + " should be F32");
    }
    return matrix;
  }
}
