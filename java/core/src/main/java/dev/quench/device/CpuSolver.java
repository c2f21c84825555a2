package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.quantization.Rounding;
import dev.quench.tensor.DType;
import dev.quench.tensor.Float8E4M3;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * GPTQ's inner loop on the CPU: a task is some output channels, which stay in the first-level cache
 * for the whole block.
 */
final class CpuSolver {
  private static final VectorSpecies<Float> S = VectorShapes.FLOAT;
  private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;

  /** Channels of a task: 128 rows of their errors take 32 KiB. */
  private static final int CHANNELS = 64;

  private final Workers workers;

  CpuSolver(Workers workers) {
    this.workers = workers;
  }

  void gptqBlock(
      Tensor w,
      Tensor u,
      Tensor scale,
      Tensor zeroPoint,
      Tensor group,
      QuantizationArgs args,
      DType roundTo,
      Tensor codes,
      Tensor error,
      Tensor loss) {
    HostMatrix weights = CpuModel.f32(w);
    HostMatrix factor = CpuModel.f32(u);
    HostMatrix scales = CpuModel.f32(scale);
    HostMatrix zeroPoints = CpuModel.f32(zeroPoint);
    HostMatrix groups = HostMatrix.of(group);
    HostMatrix q = HostMatrix.of(codes);
    HostMatrix errors = CpuModel.f32(error);
    HostMatrix losses = CpuModel.f32(loss);
    long block = weights.rows();
    CpuMoving.requireShape(factor, block, block);
    CpuMoving.requireShape(groups, 1, block);
    CpuMoving.requireShape(q, block, weights.columns());
    CpuMoving.requireShape(errors, block, weights.columns());
    CpuMoving.requireShape(losses, 1, weights.columns());
    workers.run(
        Math.ceilDiv(weights.columns(), CHANNELS),
        task -> {
          long from = task * CHANNELS;
          int count = (int) Math.min(CHANNELS, weights.columns() - from);
          float[] current = new float[CHANNELS];
          for (int i = 0; i < block; i++) {
            propagate(weights, factor, errors, i, from, count, current);
            int g = groups.memory().getAtIndex(JAVA_INT_UNALIGNED, i);
            float pivot = factor.memory().get(JAVA_FLOAT_UNALIGNED, factor.offset(i, i));
            for (int o = 0; o < count; o++) {
              float s = scales.memory().get(JAVA_FLOAT_UNALIGNED, scales.offset(g, from + o));
              float z =
                  zeroPoints.memory().get(JAVA_FLOAT_UNALIGNED, zeroPoints.offset(g, from + o));
              byte code = Rounding.code(current[o], s, z, args, DType.F32);
              float value = (args.type() == Type.INT ? code : Float8E4M3.toFloat(code)) - z;
              float rounded = Rounding.to(roundTo, value * s);
              float e = (current[o] - rounded) / pivot;
              q.memory().set(JAVA_BYTE, q.offset(i, from + o), code);
              errors.memory().set(JAVA_FLOAT_UNALIGNED, errors.offset(i, from + o), e);
              long at = losses.offset(0, from + o);
              losses
                  .memory()
                  .set(
                      JAVA_FLOAT_UNALIGNED,
                      at,
                      losses.memory().get(JAVA_FLOAT_UNALIGNED, at) + e * e);
            }
          }
        });
  }

  /**
   * current = w[i, …] − Σ over j < i of u[j, i] · error[j, …], one fused multiply-add after the
   * other.
   */
  private static void propagate(
      HostMatrix w, HostMatrix u, HostMatrix error, int i, long from, int count, float[] current) {
    MemorySegment errors = error.memory();
    MemorySegment factors = u.memory();
    long errorStride = error.stride() * 4;
    long factorStride = u.stride() * 4;
    int bulk = S.loopBound(count);
    int lanes = S.length();
    int o = 0;
    for (; o + 4 * lanes <= bulk; o += 4 * lanes) {
      long at = w.offset(i, from + o);
      FloatVector a = FloatVector.fromMemorySegment(S, w.memory(), at, LE);
      FloatVector b = FloatVector.fromMemorySegment(S, w.memory(), at + 4L * lanes, LE);
      FloatVector c = FloatVector.fromMemorySegment(S, w.memory(), at + 8L * lanes, LE);
      FloatVector d = FloatVector.fromMemorySegment(S, w.memory(), at + 12L * lanes, LE);
      long e = (from + o) * 4;
      long f = i * 4L;
      for (int j = 0; j < i; j++) {
        FloatVector minus = FloatVector.broadcast(S, -factors.get(JAVA_FLOAT_UNALIGNED, f));
        a = minus.fma(FloatVector.fromMemorySegment(S, errors, e, LE), a);
        b = minus.fma(FloatVector.fromMemorySegment(S, errors, e + 4L * lanes, LE), b);
        c = minus.fma(FloatVector.fromMemorySegment(S, errors, e + 8L * lanes, LE), c);
        d = minus.fma(FloatVector.fromMemorySegment(S, errors, e + 12L * lanes, LE), d);
        e += errorStride;
        f += factorStride;
      }
      a.intoArray(current, o);
      b.intoArray(current, o + lanes);
      c.intoArray(current, o + 2 * lanes);
      d.intoArray(current, o + 3 * lanes);
    }
    for (; o < count; o++) {
      float v = w.memory().get(JAVA_FLOAT_UNALIGNED, w.offset(i, from + o));
      long e = (from + o) * 4;
      long f = i * 4L;
      for (int j = 0; j < i; j++) {
        v = Math.fma(-factors.get(JAVA_FLOAT_UNALIGNED, f), errors.get(JAVA_FLOAT_UNALIGNED, e), v);
        e += errorStride;
        f += factorStride;
      }
      current[o] = v;
    }
  }
}
