package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

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
  private static final long TASK_ELEMENTS = 1 << 16;

  /** Exponentials that are summed in float32 before they go to a double. */
  private static final long SUM_BLOCK = 512;

  private final Workers workers;
  private final HostPool pool;

  CpuModel(Workers workers, HostPool pool) {
    this.workers = workers;
    this.pool = pool;
  }

  void add(Tensor x, Tensor y) {
    HostMatrix from = f32(x);
    HostMatrix to = f32(y);
    CpuMoving.requireShape(from, to.rows(), to.columns());
    overRows(
        to,
        row ->
            addRow(
                from.memory(), from.offset(row, 0), to.memory(), to.offset(row, 0), to.columns()));
  }

  void addRow(Tensor bias, Tensor y) {
    HostMatrix from = f32(bias);
    HostMatrix to = f32(y);
    CpuMoving.requireShape(from, 1, to.columns());
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
    CpuMoving.requireShape(to, from.rows(), from.columns());
    CpuMoving.requireShape(scale, 1, from.columns());
    overRows(
        to,
        row ->
            normRow(
                from.memory(),
                from.offset(row, 0),
                scale.memory(),
                epsilon,
                to.memory(),
                to.offset(row, 0),
                to.columns()));
  }

  private static void normRow(
      MemorySegment x,
      long from,
      MemorySegment weight,
      float epsilon,
      MemorySegment y,
      long to,
      long count) {
    long bulk = S.loopBound(count);
    FloatVector squares = FloatVector.zero(S);
    for (long i = 0; i < bulk; i += S.length()) {
      FloatVector v = FloatVector.fromMemorySegment(S, x, from + i * 4, LE);
      squares = v.fma(v, squares);
    }
    float sum = squares.reduceLanes(VectorOperators.ADD);
    for (long i = bulk; i < count; i++) {
      float v = x.get(JAVA_FLOAT_UNALIGNED, from + i * 4);
      sum = Math.fma(v, v, sum);
    }
    float factor = (float) (1 / Math.sqrt(sum / count + epsilon));
    for (long i = 0; i < bulk; i += S.length()) {
      FloatVector.fromMemorySegment(S, x, from + i * 4, LE)
          .mul(factor)
          .mul(FloatVector.fromMemorySegment(S, weight, i * 4, LE))
          .intoMemorySegment(y, to + i * 4, LE);
    }
    for (long i = bulk; i < count; i++) {
      float v = x.get(JAVA_FLOAT_UNALIGNED, from + i * 4) * factor;
      y.set(JAVA_FLOAT_UNALIGNED, to + i * 4, v * weight.get(JAVA_FLOAT_UNALIGNED, i * 4));
    }
  }

  void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin) {
    HostMatrix states = f32(x);
    HostMatrix at = HostMatrix.of(positions);
    HostMatrix cosines = f32(cos);
    HostMatrix sines = f32(sin);
    if (states.columns() % headDim != 0 || 2 * cosines.columns() > headDim) {
      throw new IllegalArgumentException(
          states + " in heads of " + headDim + ", turned by " + cosines);
    }
    overRows(
        states,
        row -> {
          int position = at.memory().getAtIndex(JAVA_INT_UNALIGNED, row);
          long angles = cosines.offset(position, 0);
          for (long head = 0; head < states.columns(); head += headDim) {
            turn(
                states.memory(),
                states.offset(row, head),
                cosines.memory(),
                sines.memory(),
                angles,
                cosines.columns());
          }
        });
  }

  private static void turn(
      MemorySegment x, long at, MemorySegment cos, MemorySegment sin, long angles, long half) {
    long bulk = S.loopBound(half);
    long second = at + half * 4;
    for (long i = 0; i < bulk; i += S.length()) {
      FloatVector a = FloatVector.fromMemorySegment(S, x, at + i * 4, LE);
      FloatVector b = FloatVector.fromMemorySegment(S, x, second + i * 4, LE);
      FloatVector c = FloatVector.fromMemorySegment(S, cos, angles + i * 4, LE);
      FloatVector s = FloatVector.fromMemorySegment(S, sin, angles + i * 4, LE);
      a.mul(c).sub(b.mul(s)).intoMemorySegment(x, at + i * 4, LE);
      b.mul(c).add(a.mul(s)).intoMemorySegment(x, second + i * 4, LE);
    }
    for (long i = bulk; i < half; i++) {
      float a = x.get(JAVA_FLOAT_UNALIGNED, at + i * 4);
      float b = x.get(JAVA_FLOAT_UNALIGNED, second + i * 4);
      float c = cos.get(JAVA_FLOAT_UNALIGNED, angles + i * 4);
      float s = sin.get(JAVA_FLOAT_UNALIGNED, angles + i * 4);
      x.set(JAVA_FLOAT_UNALIGNED, at + i * 4, a * c - b * s);
      x.set(JAVA_FLOAT_UNALIGNED, second + i * 4, b * c + a * s);
    }
  }

  void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y) {
    HostMatrix gates = f32(gate);
    HostMatrix ups = f32(up);
    HostMatrix to = f32(y);
    CpuMoving.requireShape(gates, to.rows(), to.columns());
    CpuMoving.requireShape(ups, to.rows(), to.columns());
    overBands(
        to,
        (begin, end) -> {
          HostPool.Buffer scratch = pool.take(to.columns() * 4);
          for (long row = begin; row < end; row++) {
            switch (activation) {
              case SILU ->
                  siluRow(
                      gates.memory(),
                      gates.offset(row, 0),
                      ups.memory(),
                      ups.offset(row, 0),
                      scratch.memory(),
                      to.memory(),
                      to.offset(row, 0),
                      to.columns());
            }
          }
          pool.give(scratch);
        });
  }

  /** x / (1 + e^−x) · up. */
  private static void siluRow(
      MemorySegment gate,
      long g,
      MemorySegment up,
      long u,
      MemorySegment scratch,
      MemorySegment y,
      long to,
      long count) {
    float unused = Exp.map(gate, g, scratch, 0, count, -1, 0);
    long bulk = S.loopBound(count);
    for (long i = 0; i < bulk; i += S.length()) {
      FloatVector e = FloatVector.fromMemorySegment(S, scratch, i * 4, LE);
      FloatVector.fromMemorySegment(S, gate, g + i * 4, LE)
          .div(e.add(1f))
          .mul(FloatVector.fromMemorySegment(S, up, u + i * 4, LE))
          .intoMemorySegment(y, to + i * 4, LE);
    }
    for (long i = bulk; i < count; i++) {
      float x = gate.get(JAVA_FLOAT_UNALIGNED, g + i * 4);
      float silu = x / (1f + scratch.get(JAVA_FLOAT_UNALIGNED, i * 4));
      y.set(JAVA_FLOAT_UNALIGNED, to + i * 4, silu * up.get(JAVA_FLOAT_UNALIGNED, u + i * 4));
    }
  }

  void logProbability(Tensor logits, Tensor targets, Tensor out) {
    HostMatrix from = f32(logits);
    HostMatrix wanted = HostMatrix.of(targets);
    HostMatrix to = f32(out);
    CpuMoving.requireShape(to, 1, from.rows());
    workers.run(
        from.rows(),
        row -> {
          int target = wanted.memory().getAtIndex(JAVA_INT_UNALIGNED, row);
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
      sum += Exp.map(x, from + block * 4, scratch.memory(), 0, length, 1, -max);
    }
    pool.give(scratch);
    return max + Math.log(sum);
  }

  static float max(MemorySegment x, long from, long count) {
    long bulk = S.loopBound(count);
    FloatVector best = FloatVector.broadcast(S, Float.NEGATIVE_INFINITY);
    for (long i = 0; i < bulk; i += S.length()) {
      best = best.max(FloatVector.fromMemorySegment(S, x, from + i * 4, LE));
    }
    float max = best.reduceLanes(VectorOperators.MAX);
    for (long i = bulk; i < count; i++) {
      max = Math.max(max, x.get(JAVA_FLOAT_UNALIGNED, from + i * 4));
    }
    return max;
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
