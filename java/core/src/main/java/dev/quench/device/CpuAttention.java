package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Causal attention in blocks of queries against tiles of keys, with the softmax's maximum and sum
 * carried from tile to tile (Milakov and Gimelshein 2018; Dao et al. 2022), so that scratch memory
 * doesn't grow with the sequence.
 */
final class CpuAttention {
  private static final VectorSpecies<Float> S = VectorShapes.FLOAT;
  private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;

  /** Few, since up to that many scores per query above the diagonal are computed for nothing. */
  private static final long QUERIES = 64;

  /** Keys of a tile: its scores fit in the second-level cache. */
  private static final long KEYS = 1024;

  private final Workers workers;
  private final SerialGemm gemm;
  private final HostPool pool;

  CpuAttention(Workers workers, SerialGemm gemm, HostPool pool) {
    this.workers = workers;
    this.gemm = gemm;
    this.pool = pool;
  }

  /** Queries {@code [from, to)} of the sequence that starts at token {@code start}. */
  private record QueryBlock(long start, long from, long to) {}

  void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    HostMatrix queries = CpuModel.f32(q);
    HostMatrix keys = CpuModel.f32(k);
    HostMatrix values = CpuModel.f32(v);
    HostMatrix out = CpuModel.f32(y);
    long tokens = starts[starts.length - 1];
    queries.require(tokens, (long) spec.heads() * spec.headDim());
    keys.require(tokens, (long) spec.keyHeads() * spec.headDim());
    values.require(tokens, keys.columns());
    out.require(tokens, queries.columns());
    List<QueryBlock> blocks = new ArrayList<>();
    for (int s = 0; s + 1 < starts.length; s++) {
      for (long from = starts[s]; from < starts[s + 1]; from += QUERIES) {
        blocks.add(new QueryBlock(starts[s], from, Math.min(from + QUERIES, starts[s + 1])));
      }
    }
    workers.run(
        (long) blocks.size() * spec.heads(),
        task -> {
          QueryBlock block = blocks.get((int) (task / spec.heads()));
          long head = task % spec.heads();
          long column = head * spec.headDim();
          long keyColumn = head / (spec.heads() / spec.keyHeads()) * spec.headDim();
          long rows = block.to - block.from;
          attend(
              queries.slice(block.from, rows, column, spec.headDim()),
              keys.slice(block.start, block.to - block.start, keyColumn, spec.headDim()),
              values.slice(block.start, block.to - block.start, keyColumn, spec.headDim()),
              spec.scale(),
              out.slice(block.from, rows, column, spec.headDim()));
        });
  }

  /** The last query sees all keys, the one before it all but the last, and so on. */
  private void attend(HostMatrix q, HostMatrix k, HostMatrix v, float scale, HostMatrix y) {
    long rows = q.rows();
    long width = Math.min(KEYS, k.rows());
    long headDim = q.columns();
    HostPool.Buffer buffer = pool.take(rows * width * 4);
    MemorySegment scores = buffer.memory();
    float[] max = new float[(int) rows];
    float[] sum = new float[(int) rows];
    Arrays.fill(max, Float.NEGATIVE_INFINITY);
    for (long tile = 0; tile < k.rows(); tile += width) {
      long keys = Math.min(width, k.rows() - tile);
      HostMatrix tileKeys = k.rows(tile, keys);
      HostMatrix tileValues = v.rows(tile, keys);
      gemm.sgemm(
          false,
          true,
          rows,
          keys,
          headDim,
          scale,
          q.memory(),
          q.stride(),
          tileKeys.memory(),
          k.stride(),
          0,
          scores,
          width);
      for (int r = 0; r < rows; r++) {
        long visible = Math.clamp(k.rows() - rows + r + 1 - tile, 0, keys);
        long row = r * width * 4;
        float newMax = Math.max(max[r], CpuModel.max(scores, row, visible));
        float kept = newMax == max[r] ? 1 : Exp.decay(newMax - max[r]);
        sum[r] = sum[r] * kept + exponentials(scores, row, visible, keys, newMax);
        if (tile > 0 && kept != 1) {
          scale(y.memory(), y.offset(r, 0), headDim, kept);
        }
        max[r] = newMax;
      }
      gemm.sgemm(
          false,
          false,
          rows,
          headDim,
          keys,
          1,
          scores,
          width,
          tileValues.memory(),
          v.stride(),
          tile == 0 ? 0 : 1,
          y.memory(),
          y.stride());
    }
    for (int r = 0; r < rows; r++) {
      scale(y.memory(), y.offset(r, 0), headDim, 1 / sum[r]);
    }
    pool.give(buffer);
  }

  /** Replaces the visible scores by e^(score − max), the others by 0; returns the sum. */
  private static float exponentials(
      MemorySegment scores, long at, long visible, long keys, float max) {
    scores.asSlice(at + visible * 4, (keys - visible) * 4).fill((byte) 0);
    return Exp.decay(scores, at, max, scores, at, visible);
  }

  private static void scale(MemorySegment y, long at, long count, float factor) {
    long bulk = S.loopBound(count);
    for (long i = 0; i < bulk; i += S.length()) {
      FloatVector.fromMemorySegment(S, y, at + i * 4, LE)
          .mul(factor)
          .intoMemorySegment(y, at + i * 4, LE);
    }
    for (long i = bulk; i < count; i++) {
      y.set(JAVA_FLOAT_UNALIGNED, at + i * 4, y.get(JAVA_FLOAT_UNALIGNED, at + i * 4) * factor);
    }
  }
}
