package dev.quench.cuda;

import dev.quench.device.AttentionSpec;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.List;

/** Attention on the CUDA device: {@code kernels/attention.cu}. */
final class CudaAttention {
  /**
   * A kernel for heads of up to so many columns.
   *
   * @param queries rows of a tile, one for each block
   */
  private record Variant(String kernel, int maxHeadDim, int queries, int threads, int sharedBytes) {
    /** A tile of keys and one of queries have rows of {@code dim + 16} floats, values of + 4. */
    static Variant tensorCores(int dim, int queries, int keys) {
      int floats = (queries + keys) * (dim + 16) + keys * (dim + 4);
      return new Variant("quench_attention_f32_" + dim, dim, queries, 2 * queries, 4 * floats);
    }
  }

  private static final List<Variant> VARIANTS =
      List.of(
          new Variant("quench_attention_f32_narrow", 32, 64, 64, 0),
          Variant.tensorCores(64, 64, 32),
          Variant.tensorCores(128, 64, 32),
          Variant.tensorCores(256, 32, 16));

  private final Kernels kernels;
  private final CudaMemory memory;

  CudaAttention(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
    this.memory = memory;
  }

  void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    long tokens = starts[starts.length - 1];
    long width = (long) spec.heads() * spec.headDim();
    long keyWidth = (long) spec.keyHeads() * spec.headDim();
    CudaMatrix queries = CudaMatrix.of(q).require(DType.F32).require(tokens, width);
    CudaMatrix keys = CudaMatrix.of(k).require(DType.F32).require(tokens, keyWidth);
    CudaMatrix values = CudaMatrix.of(v).require(DType.F32).require(tokens, keyWidth);
    CudaMatrix out = CudaMatrix.of(y).require(DType.F32).require(tokens, width);
    Variant variant = variant(spec.headDim());
    // First tokens of the sequences, then the number of tiles before each.
    int count = starts.length;
    int[] table = new int[2 * count];
    for (int s = 0; s < count; s++) {
      table[s] = Math.toIntExact(starts[s]);
      if (s > 0) {
        int tiles = Math.ceilDiv(table[s] - table[s - 1], variant.queries);
        table[count + s] = table[count + s - 1] + tiles;
      }
    }
    try (CudaScope scope = memory.openScope()) {
      long address = scope.ints(table).address();
      kernels.launch(
          variant.kernel,
          Grid.of(table[2 * count - 1], spec.heads(), variant.threads)
              .withShared(variant.sharedBytes),
          new Arguments()
              .matrix(queries)
              .matrix(keys)
              .matrix(values)
              .matrix(out)
              .pointer(address)
              .pointer(address + DType.I32.bytes(count))
              .ints(count - 1, spec.headDim(), spec.heads() / spec.keyHeads())
              .floats(spec.scale()));
    }
  }

  private static Variant variant(int headDim) {
    return VARIANTS.stream()
        .filter(variant -> headDim <= variant.maxHeadDim)
        .findFirst()
        .orElseThrow(
            () -> new IllegalArgumentException("no attention kernel for heads of " + headDim));
  }
}
