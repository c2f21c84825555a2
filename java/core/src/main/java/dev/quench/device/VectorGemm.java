package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Products by the Vector API, where no oneDNN is to be had.
 *
 * <p>The blocking is that of Goto and van de Geijn (Anatomy of High-Performance Matrix
 * Multiplication, 2008): a block of {@link #BLOCK_K} × {@link #BLOCK_N} of B is packed into panels
 * of two vectors' width, a block of {@link #BLOCK_M} × {@link #BLOCK_K} of A into panels of {@link
 * #ROWS} rows, and a micro-kernel multiplies a panel by a panel with all its sums in registers.
 * Packing undoes transpositions and pads with zeros, so there is one micro-kernel, without tails.
 */
final class VectorGemm implements SerialGemm {
  /**
   * Rows of a micro-tile. Eight sums are enough to keep two multiply-add units of latency 4 busy;
   * twelve, which would fit 16 registers exactly, run at half the speed since C2 spills some.
   */
  static final int ROWS = 4;

  /** A panel of B of this depth, two vectors wide, stays in L1. */
  private static final int BLOCK_K = 256;

  /** A block of A, 96 KiB, stays in L2. */
  private static final int BLOCK_M = 24 * ROWS;

  /** A block of B, 1 MiB, stays in L3; a multiple of every panel width. */
  private static final int BLOCK_N = 1024;

  /** One thread's packed blocks, and the micro-tile. */
  private static final class Workspace {
    final float[] a = new float[BLOCK_M * BLOCK_K];
    final float[] b = new float[BLOCK_N * BLOCK_K];
    final float[] tile;

    Workspace(int tileSize) {
      tile = new float[tileSize];
    }
  }

  private final int width;
  private final ThreadLocal<Workspace> workspaces;

  VectorGemm() {
    width = 2 * SPECIES.length();
    workspaces = ThreadLocal.withInitial(() -> new Workspace(ROWS * width));
  }

  // A constant, so that the compiler sees vectors and not objects.
  private static final VectorSpecies<Float> SPECIES = VectorShapes.FLOAT;

  @Override
  public void sgemm(
      boolean transposeA,
      boolean transposeB,
      long m,
      long n,
      long k,
      float alpha,
      MemorySegment a,
      long lda,
      MemorySegment b,
      long ldb,
      float beta,
      MemorySegment c,
      long ldc) {
    Workspace space = workspaces.get();
    // With k = 0 there is one empty block, which scales C.
    long k0 = 0;
    do {
      int depth = (int) Math.min(BLOCK_K, k - k0);
      float scaleC = k0 == 0 ? beta : 1;
      for (long n0 = 0; n0 < n; n0 += BLOCK_N) {
        int columns = (int) Math.min(BLOCK_N, n - n0);
        pack(
            b,
            transposeB ? n0 * ldb + k0 : k0 * ldb + n0,
            ldb,
            !transposeB,
            columns,
            width,
            depth,
            space.b);
        for (long m0 = 0; m0 < m; m0 += BLOCK_M) {
          int rows = (int) Math.min(BLOCK_M, m - m0);
          pack(
              a,
              transposeA ? k0 * lda + m0 : m0 * lda + k0,
              lda,
              transposeA,
              rows,
              ROWS,
              depth,
              space.a);
          multiplyBlocks(space, rows, columns, depth, alpha, scaleC, c, m0 * ldc + n0, ldc);
        }
      }
      k0 += depth;
    } while (k0 < k);
  }

  @Override
  public String description() {
    return "Vector API (" + SPECIES.vectorBitSize() + "-bit)";
  }

  private void multiplyBlocks(
      Workspace space,
      int rows,
      int columns,
      int depth,
      float alpha,
      float beta,
      MemorySegment c,
      long start,
      long ldc) {
    for (int j = 0; j < columns; j += width) {
      for (int i = 0; i < rows; i += ROWS) {
        multiplyPanels(space.a, i * depth, space.b, j * depth, depth, space.tile);
        int tileRows = Math.min(ROWS, rows - i);
        int tileColumns = Math.min(width, columns - j);
        for (int r = 0; r < tileRows; r++) {
          store(space.tile, r * width, tileColumns, alpha, beta, c, start + (i + r) * ldc + j);
        }
      }
    }
  }

  /**
   * {@code tile [4, width] = Aᵀ · B} for a panel of A [depth, 4] and one of B [depth, width].
   * Vectors stay locals of this one method: one that is passed to a call that isn't inlined becomes
   * an object.
   */
  static void multiplyPanels(float[] a, int fromA, float[] b, int fromB, int depth, float[] tile) {
    int length = SPECIES.length();
    FloatVector c00 = FloatVector.zero(SPECIES);
    FloatVector c01 = c00;
    FloatVector c10 = c00;
    FloatVector c11 = c00;
    FloatVector c20 = c00;
    FloatVector c21 = c00;
    FloatVector c30 = c00;
    FloatVector c31 = c00;
    for (int l = 0; l < depth; l++) {
      int atA = fromA + l * ROWS;
      int atB = fromB + l * 2 * length;
      FloatVector b0 = FloatVector.fromArray(SPECIES, b, atB);
      FloatVector b1 = FloatVector.fromArray(SPECIES, b, atB + length);
      FloatVector a0 = FloatVector.broadcast(SPECIES, a[atA]);
      c00 = a0.fma(b0, c00);
      c01 = a0.fma(b1, c01);
      FloatVector a1 = FloatVector.broadcast(SPECIES, a[atA + 1]);
      c10 = a1.fma(b0, c10);
      c11 = a1.fma(b1, c11);
      FloatVector a2 = FloatVector.broadcast(SPECIES, a[atA + 2]);
      c20 = a2.fma(b0, c20);
      c21 = a2.fma(b1, c21);
      FloatVector a3 = FloatVector.broadcast(SPECIES, a[atA + 3]);
      c30 = a3.fma(b0, c30);
      c31 = a3.fma(b1, c31);
    }
    c00.intoArray(tile, 0);
    c01.intoArray(tile, length);
    c10.intoArray(tile, 2 * length);
    c11.intoArray(tile, 3 * length);
    c20.intoArray(tile, 4 * length);
    c21.intoArray(tile, 5 * length);
    c30.intoArray(tile, 6 * length);
    c31.intoArray(tile, 7 * length);
  }

  /** {@code c = alpha · tile + beta · c} for {@code count} elements of one row. */
  private static void store(
      float[] tile, int from, int count, float alpha, float beta, MemorySegment c, long to) {
    int length = SPECIES.length();
    int i = 0;
    for (; i + length <= count; i += length) {
      long offset = (to + i) * Float.BYTES;
      FloatVector sum = FloatVector.fromArray(SPECIES, tile, from + i).mul(alpha);
      if (beta != 0) {
        sum =
            FloatVector.fromMemorySegment(SPECIES, c, offset, ByteOrder.LITTLE_ENDIAN)
                .mul(beta)
                .add(sum);
      }
      sum.intoMemorySegment(c, offset, ByteOrder.LITTLE_ENDIAN);
    }
    for (; i < count; i++) {
      float sum = alpha * tile[from + i];
      c.setAtIndex(
          JAVA_FLOAT, to + i, beta == 0 ? sum : beta * c.getAtIndex(JAVA_FLOAT, to + i) + sum);
    }
  }

  /**
   * Packs {@code count} × {@code depth} elements into panels of {@code width}, each [depth, width],
   * the last one padded with zeros.
   *
   * @param depthMajor whether a row of the source runs along {@code count} (else along {@code
   *     depth})
   */
  private static void pack(
      MemorySegment source,
      long start,
      long leading,
      boolean depthMajor,
      int count,
      int width,
      int depth,
      float[] target) {
    for (int i = 0; i < count; i += width) {
      int panel = i * depth;
      int lanes = Math.min(width, count - i);
      if (lanes < width) {
        Arrays.fill(target, panel, panel + width * depth, 0);
      }
      if (depthMajor) {
        for (int l = 0; l < depth; l++) {
          copyRow(source, start + l * leading + i, target, panel + l * width, lanes);
        }
      } else {
        for (int lane = 0; lane < lanes; lane++) {
          long row = start + (i + lane) * leading;
          for (int l = 0; l < depth; l++) {
            target[panel + l * width + lane] = source.getAtIndex(JAVA_FLOAT, row + l);
          }
        }
      }
    }
  }

  /** Four elements at a time: the width of a panel of A, and a divisor of that of B. */
  private static void copyRow(MemorySegment source, long from, float[] target, int to, int count) {
    int i = 0;
    for (; i + 4 <= count; i += 4) {
      FloatVector.fromMemorySegment(
              FloatVector.SPECIES_128, source, (from + i) * Float.BYTES, ByteOrder.LITTLE_ENDIAN)
          .intoArray(target, to + i);
    }
    for (; i < count; i++) {
      target[to + i] = source.getAtIndex(JAVA_FLOAT, from + i);
    }
  }
}
