package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The fast Walsh-Hadamard transform on the CPU: log₂ steps of sums and differences for Sylvester's
 * factor, a small product for the base. Which numbers are added in which order depends on the size
 * alone, not on the length of vectors.
 */
final class CpuHadamard {
  private static final VectorSpecies<Float> S = VectorShapes.FLOAT;
  private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
  private static final int LANES = S.length();
  private static final long TASK_ELEMENTS = 1 << 15;

  // A step between lanes i and i ^ distance is one sum: the other lane plus this one, negated in
  // the upper half of each pair.
  private static final VectorShuffle<Float> OTHER_1 = other(1);
  private static final VectorShuffle<Float> OTHER_2 = other(2);
  private static final VectorShuffle<Float> OTHER_4 = other(4);
  private static final VectorShuffle<Float> OTHER_8 = other(8);
  private static final FloatVector SIGNS_1 = signs(1);
  private static final FloatVector SIGNS_2 = signs(2);
  private static final FloatVector SIGNS_4 = signs(4);
  private static final FloatVector SIGNS_8 = signs(8);

  private final Workers workers;
  private final HostPool pool;

  CpuHadamard(Workers workers, HostPool pool) {
    this.workers = workers;
    this.pool = pool;
  }

  private static VectorShuffle<Float> other(int distance) {
    return VectorShuffle.fromOp(S, lane -> (lane ^ distance) % LANES);
  }

  private static FloatVector signs(int distance) {
    float[] signs = new float[LANES];
    for (int lane = 0; lane < LANES; lane++) {
      signs[lane] = (lane & distance) == 0 ? 1 : -1;
    }
    return FloatVector.fromArray(S, signs, 0);
  }

  void hadamard(Tensor x, long size) {
    HostMatrix matrix = CpuModel.f32(x);
    HadamardMatrix h = HadamardMatrix.of(size);
    ReferenceHadamard.requirePieces(matrix, size);
    float scale = (float) (1 / Math.sqrt(size));
    float[] signs = baseSigns(h);
    long pieces = matrix.columns() / size;
    long perTask = Math.max(1, TASK_ELEMENTS / size);
    long total = matrix.rows() * pieces;
    workers.run(
        Math.ceilDiv(total, perTask),
        task -> {
          HostPool.Buffer scratch = pool.take(size * Float.BYTES);
          long end = Math.min(total, (task + 1) * perTask);
          for (long i = task * perTask; i < end; i++) {
            long at = matrix.offset(i / pieces, i % pieces * size);
            transform(matrix.memory(), at, h, signs, scale, scratch.memory());
          }
          pool.give(scratch);
        });
  }

  private static float[] baseSigns(HadamardMatrix h) {
    float[] signs = new float[h.base() * h.base()];
    for (int i = 0; i < signs.length; i++) {
      signs[i] = h.baseSign(i / h.base(), i % h.base());
    }
    return signs;
  }

  private static void transform(
      MemorySegment x,
      long at,
      HadamardMatrix h,
      float[] signs,
      float scale,
      MemorySegment scratch) {
    long size = h.size();
    long order = 1L << h.log2();
    long distance = 1;
    if (order >= LANES) {
      betweenLanes(x, at, size);
      distance = LANES;
    }
    for (; distance < order; distance *= 2) {
      if (distance < LANES) {
        scalarStep(x, at, size, distance);
      } else if (distance * 4 <= order) {
        twoSteps(x, at, size, distance);
        distance *= 2;
      } else {
        oneStep(x, at, size, distance);
      }
    }
    if (h.base() == 1) {
      scale(x, at, x, at, size, scale);
    } else {
      multiplyByBase(x, at, h.base(), order, signs, scratch);
      scale(scratch, 0, x, at, size, scale);
    }
  }

  /** The steps whose distance is less than a vector. */
  private static void betweenLanes(MemorySegment x, long at, long size) {
    for (long i = 0; i < size; i += LANES) {
      FloatVector v = FloatVector.fromMemorySegment(S, x, at + i * 4, LE);
      v = v.mul(SIGNS_1).add(v.rearrange(OTHER_1));
      v = v.mul(SIGNS_2).add(v.rearrange(OTHER_2));
      if (LANES > 4) {
        v = v.mul(SIGNS_4).add(v.rearrange(OTHER_4));
      }
      if (LANES > 8) {
        v = v.mul(SIGNS_8).add(v.rearrange(OTHER_8));
      }
      v.intoMemorySegment(x, at + i * 4, LE);
    }
  }

  private static void scalarStep(MemorySegment x, long at, long size, long distance) {
    for (long i = 0; i < size; i++) {
      if ((i & distance) == 0) {
        long first = at + i * 4;
        long second = first + distance * 4;
        float a = x.get(JAVA_FLOAT_UNALIGNED, first);
        float b = x.get(JAVA_FLOAT_UNALIGNED, second);
        x.set(JAVA_FLOAT_UNALIGNED, first, a + b);
        x.set(JAVA_FLOAT_UNALIGNED, second, a - b);
      }
    }
  }

  private static void oneStep(MemorySegment x, long at, long size, long distance) {
    for (long block = 0; block < size; block += 2 * distance) {
      long first = at + block * 4;
      long second = first + distance * 4;
      for (long i = 0; i < distance; i += LANES) {
        FloatVector a = FloatVector.fromMemorySegment(S, x, first + i * 4, LE);
        FloatVector b = FloatVector.fromMemorySegment(S, x, second + i * 4, LE);
        a.add(b).intoMemorySegment(x, first + i * 4, LE);
        a.sub(b).intoMemorySegment(x, second + i * 4, LE);
      }
    }
  }

  /** Two steps in one pass, those of {@code distance} and of twice that. */
  private static void twoSteps(MemorySegment x, long at, long size, long distance) {
    for (long block = 0; block < size; block += 4 * distance) {
      long first = at + block * 4;
      long second = first + distance * 4;
      long third = second + distance * 4;
      long fourth = third + distance * 4;
      for (long i = 0; i < distance; i += LANES) {
        FloatVector a = FloatVector.fromMemorySegment(S, x, first + i * 4, LE);
        FloatVector b = FloatVector.fromMemorySegment(S, x, second + i * 4, LE);
        FloatVector c = FloatVector.fromMemorySegment(S, x, third + i * 4, LE);
        FloatVector d = FloatVector.fromMemorySegment(S, x, fourth + i * 4, LE);
        FloatVector e = a.add(b);
        FloatVector f = a.sub(b);
        FloatVector g = c.add(d);
        FloatVector h = c.sub(d);
        e.add(g).intoMemorySegment(x, first + i * 4, LE);
        f.add(h).intoMemorySegment(x, second + i * 4, LE);
        e.sub(g).intoMemorySegment(x, third + i * 4, LE);
        f.sub(h).intoMemorySegment(x, fourth + i * 4, LE);
      }
    }
  }

  /** {@code y[p·order + s] = Σ P[p, q] · x[q·order + s]}. */
  private static void multiplyByBase(
      MemorySegment x, long at, int base, long order, float[] signs, MemorySegment y) {
    for (int p = 0; p < base; p++) {
      long s = 0;
      for (; s + LANES <= order; s += LANES) {
        FloatVector sum = FloatVector.zero(S);
        for (int q = 0; q < base; q++) {
          FloatVector v = FloatVector.fromMemorySegment(S, x, at + (q * order + s) * 4, LE);
          sum = sum.add(v.mul(signs[p * base + q]));
        }
        sum.intoMemorySegment(y, (p * order + s) * 4, LE);
      }
      for (; s < order; s++) {
        float sum = 0;
        for (int q = 0; q < base; q++) {
          sum += signs[p * base + q] * x.get(JAVA_FLOAT_UNALIGNED, at + (q * order + s) * 4);
        }
        y.set(JAVA_FLOAT_UNALIGNED, (p * order + s) * 4, sum);
      }
    }
  }

  private static void scale(
      MemorySegment x, long from, MemorySegment y, long to, long size, float factor) {
    for (long i = 0; i < size; i++) {
      y.set(JAVA_FLOAT_UNALIGNED, to + i * 4, x.get(JAVA_FLOAT_UNALIGNED, from + i * 4) * factor);
    }
  }
}
