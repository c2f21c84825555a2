package dev.quench.device;

import dev.quench.InvalidInputException;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.RangeSearch;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.OptionalLong;

/**
 * A place where tensors live and operations run. Algorithms are written once against this
 * interface; {@link ReferenceDevice} defines each operation in scalar code, the others are held to
 * it.
 *
 * <p>Calls take effect in the order in which they are made, as in a CUDA stream, and may return
 * before they are done; {@link #download} and {@link #synchronize} wait. A device is driven by one
 * thread at a time.
 *
 * <p>Results are a function of the operands alone: they don't depend on thread counts or on timing.
 * <b>Exact</b> operations give the same bytes on every device, but for the sign and payload of NaNs
 * that arithmetic makes, which IEEE 754 leaves open; the others differ by the rounding of sums.
 *
 * <p>Notation: {@code x [r, c]} is a tensor of r rows and c columns. A tensor that an operation
 * writes must not overlap one that it reads, unless the operation says "in place". Shapes and
 * dtypes that don't fit are programming errors and raise {@link IllegalArgumentException}.
 */
public interface Device extends AutoCloseable {

  /**
   * One line for people: what this device is, such as {@code "CPU, 2 threads, oneDNN 3.13 (avx2),
   * 256-bit vectors"}.
   */
  String description();

  /** A new owner of tensors. Scopes nest freely; each is closed by who opened it. */
  Scope openScope();

  /**
   * Copies a tensor (dense or a view) to dense host memory of the same dtype and element count;
   * waits for it.
   */
  void download(Tensor source, HostTensor target);

  /**
   * A dense tensor's content on the host, as a tensor of that shape: the device's own memory where
   * that is the host's, else a copy in the arena. Valid until the arena or the tensor's scope is
   * closed.
   */
  default HostTensor onHost(Tensor source, Shape shape, Arena arena) {
    long bytes = source.dtype().bytes(shape.elements());
    HostTensor copy = new HostTensor(source.dtype(), shape, arena.allocate(bytes, Long.BYTES));
    download(source, copy);
    return copy;
  }

  /**
   * Devices that share this one's means, each to be driven by a thread of its own at the same time:
   * for work on independent tensors. They run on the thread that drives them, and are closed with
   * this device, which mustn't be used at the same time. The device itself if it has only one
   * queue.
   */
  default List<Device> lanes() {
    return List.of(this);
  }

  /** True if {@link Scope#upload} shares the host's memory instead of copying. */
  boolean sharesHostMemory();

  /** Bytes of its own memory that it may take; empty if it works in the host's. */
  default OptionalLong memoryLimit() {
    return OptionalLong.empty();
  }

  /** Waits until everything asked for so far is done. */
  void synchronize();

  @Override
  void close();

  // ---- moving

  /**
   * {@code target = source}, element by element, cast to the target's dtype. Exact. Among F32, F16
   * and BF16: to the nearest, ties to even, NaN stays NaN, overflow becomes infinity. I8 to F32:
   * the same number. Equal dtypes of any kind: a copy.
   */
  void convert(Tensor source, Tensor target);

  /** {@code target [c, r] = sourceᵀ [r, c]}, cast as {@link #convert} does. Exact. */
  void transpose(Tensor source, Tensor target);

  /**
   * {@code target[i, :] = source[index[i], :]}, cast as {@link #convert} does; {@code index} I32
   * [1, rows]. Exact.
   */
  void gatherRows(Tensor source, Tensor index, Tensor target);

  /**
   * Reorders a symmetric matrix of which only the lower triangle is stored: {@code target[i, j] =
   * H[index[i], index[j]]} for i ≤ j, the upper triangle; what lies below the diagonal of the
   * target is unspecified. F32 [n, n], {@code index} I32 [1, n]. Exact.
   */
  void gatherSymmetric(Tensor lower, Tensor index, Tensor target);

  /** {@code values[0, i] = matrix[i, i]}: F32 [n, n] to F32 [1, n]. Exact. */
  void diagonal(Tensor matrix, Tensor values);

  /** {@code matrix[i, i] = values[0, i]}: F32 [1, n] into F32 [n, n]. Exact. */
  void setDiagonal(Tensor values, Tensor matrix);

  // ---- matrix products

  /**
   * {@code c = alpha · op(a) · op(b) + beta · c}, all F32, {@code op} a transposition where asked
   * for. {@code op(a) [m, k]}, {@code op(b) [k, n]}, {@code c [m, n]}. With {@code beta == 0} the
   * old content of c is not read.
   */
  void gemm(
      float alpha,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      float beta,
      Tensor c);

  /**
   * {@code h += xᵀ·x}, lower triangle only (row ≥ column); what lies above is unspecified. x F32 or
   * BF16 [tokens, n], taken as it is; h F32 [n, n]. Products are as good as those of F32, and are
   * added in F32.
   */
  void syrk(Tensor x, Tensor h);

  /**
   * Factors a symmetric positive definite matrix, given by its upper triangle, as {@code H = R·Rᵀ}
   * with R upper triangular, in place: a Cholesky factorization that starts at the last column.
   * Then {@code U = R⁻¹} is the upper factor of the inverse, {@code H⁻¹ = Uᵀ·U}, which GPTQ and
   * SparseGPT need, from one factorization instead of two and an inversion. F32 [n, n]; the strict
   * lower triangle is neither read nor written.
   *
   * @return empty if it succeeded; else the column whose pivot is not a positive finite number (H
   *     is garbage then)
   */
  OptionalLong reverseCholesky(Tensor h);

  /**
   * {@code r = r⁻¹} for an upper triangular F32 [n, n] with non-zero diagonal, in place; sets the
   * strict lower triangle to 0.
   */
  void invertUpper(Tensor r);

  // ---- rotations

  /**
   * Walsh-Hadamard transform, in place: each row of x is cut into pieces of {@code size} columns,
   * and each piece v becomes {@code v·H / √size}, where H is the {@link HadamardMatrix} of that
   * size. A second transform undoes the first. x F32 [r, c], {@code size} divides c.
   */
  void hadamard(Tensor x, long size);

  // ---- quantization (exact)

  /**
   * Smallest and largest element of each block of {@code blockRows × blockColumns}; blocks at the
   * lower and right edge may be cut. Compared with 0 afterwards, so that min ≤ 0 ≤ max (as zero
   * padding does); a NaN in a block makes both NaN. {@code min}, {@code max} have x's dtype (F32,
   * BF16 or F16) and {@code [⌈rows/blockRows⌉, ⌈columns/blockColumns⌉]}. Exact.
   */
  void observe(Tensor x, long blockRows, long blockColumns, Tensor min, Tensor max);

  /**
   * The range of each block of {@code args} that costs the least when x is rounded, as {@code
   * dev.quench.quantization.RangeSearch} defines it. {@code min}, {@code max} as {@link #observe}
   * has them. Exact.
   */
  void searchRange(Tensor x, QuantizationArgs args, RangeSearch search, Tensor min, Tensor max);

  /**
   * The same with errors weighed by the importance of their columns. Blocks are of one row. Exact.
   *
   * @param importance F32 [1, columns], not negative
   */
  default void searchWeighedRange(
      Tensor x,
      Tensor importance,
      QuantizationArgs args,
      RangeSearch search,
      Tensor min,
      Tensor max) {
    throw new InvalidInputException(
        "observers that weigh errors by importance, such as imatrix_mse, aren't on this device yet; use --device cpu.");
  }

  /**
   * Scale and zero point of each block from its range, as {@code
   * dev.quench.quantization.QuantizationParameters} defines them: arithmetic in the dtype of {@code
   * min}. {@code scale} has that dtype too, or F8_E8M0 or F8_E4M3 if {@link
   * QuantizationArgs#scaleFormat} says so; {@code zeroPoint} I8. All the same shape. Exact.
   *
   * @param globalScale of scales in F8_E4M3; 1 with others
   */
  void quantizationParameters(
      Tensor min,
      Tensor max,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint);

  /** The same without a global scale. */
  default void quantizationParameters(
      Tensor min, Tensor max, QuantizationArgs args, Tensor scale, Tensor zeroPoint) {
    quantizationParameters(min, max, args, GlobalScale.NONE, scale, zeroPoint);
  }

  /**
   * Codes of x, as {@code dev.quench.quantization.Rounding} defines them: arithmetic in x's dtype,
   * but in F32 with scales in F8_E4M3, of which each is divided by the global scale first. {@code
   * scale}, {@code zeroPoint}: the shapes of {@link #observe}, where the blocks are those of {@code
   * args}. {@code codes} is of x's shape and {@link QuantizationArgs#codeFormat}'s dtype, one code
   * an element; or packed as {@link #pack} does. Exact.
   */
  void quantize(
      Tensor x,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor codes);

  /** The same without a global scale. */
  default void quantize(
      Tensor x, Tensor scale, Tensor zeroPoint, QuantizationArgs args, Tensor codes) {
    quantize(x, scale, zeroPoint, args, GlobalScale.NONE, codes);
  }

  /**
   * Round to nearest in one read of x: {@link #observe}, {@link #quantizationParameters} and {@link
   * #quantize} together. Exact.
   */
  void quantizeToNearest(
      Tensor x,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint,
      Tensor codes);

  /** The same without a global scale. */
  default void quantizeToNearest(
      Tensor x, QuantizationArgs args, Tensor scale, Tensor zeroPoint, Tensor codes) {
    quantizeToNearest(x, args, GlobalScale.NONE, scale, zeroPoint, codes);
  }

  /**
   * {@code x = (code − zeroPoint) · scale}, rounded to the dtype of {@code scale}, then stored as
   * x's dtype. Scales in F8_E8M0 and F8_E4M3 count as F32, and each is divided by the global scale
   * first. {@code codes} of x's shape, one an element. Exact.
   */
  void dequantize(
      Tensor codes,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor x);

  /** The same without a global scale. */
  default void dequantize(
      Tensor codes, Tensor scale, Tensor zeroPoint, QuantizationArgs args, Tensor x) {
    dequantize(codes, scale, zeroPoint, args, GlobalScale.NONE, x);
  }

  /**
   * Packs codes I8 [r, c] densely, each row a bit stream, lowest bits first; what is left of the
   * last word or byte is 0. Integers: {@code packed} I32 {@code [r, ⌈c·bits/32⌉]}, little-endian
   * words, code q as {@code q + 2^(bits−1)}. E2M1: {@code bits} 4, {@code packed} U8 {@code [r,
   * ⌈c/2⌉]}, codes as they are. Exact.
   */
  void pack(Tensor codes, int bits, Tensor packed);

  /** The inverse of {@link #pack}. Exact. */
  void unpack(Tensor packed, int bits, Tensor codes);

  // ---- solvers

  /**
   * Rounds one block of columns with error feedback: the inner loop of GPTQ (Frantar et al. 2022,
   * algorithm 1). The weight is transposed: row i of {@code w} is column i of the block, and its
   * elements are the output channels, each solved by itself. For each row i in order, and each
   * channel o:
   *
   * <pre>
   *   w     = w[i, o], then for j = 0 … i−1 in order: w = fma(−u[j, i], error[j, o], w)
   *   s, z  = scale[group[i], o], zeroPoint[group[i], o]
   *   q     = code of w under (s, z), in F32 arithmetic
   *   ŵ     = (q − z) · s, rounded to {@code roundTo}
   *   error[i, o] = (w − ŵ) / u[i, i];   codes[i, o] = q;   loss[0, o] += error²
   * </pre>
   *
   * Exact.
   *
   * @param w F32 [block, channels], unchanged
   * @param u F32 [block, block], upper triangular: the diagonal block of the factor of H⁻¹
   * @param scale F32 [groups, channels]
   * @param zeroPoint F32 [groups, channels]
   * @param group I32 [1, block]: which row of {@code scale} each column uses
   * @param roundTo the dtype that dequantized weights are rounded to (BF16, F16 or F32): the
   *     checkpoint's
   * @param codes I8 or F8_E4M3 [block, channels], written
   * @param error F32 [block, channels], written
   * @param loss F32 [1, channels], added to
   */
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
      Tensor loss);

  // ---- model

  /** {@code y += x}, F32, same shape. Exact. */
  void add(Tensor x, Tensor y);

  /** {@code x = x} rounded to F16 or BF16, to the nearest, ties to even, in place; F32. Exact. */
  void round(Tensor x, DType dtype);

  /** {@code y[r, :] *= factors[0, :]}, F32. Exact. */
  void scaleColumns(Tensor factors, Tensor y);

  /** {@code y[r, :] += bias[0, :]}, F32. Exact. */
  void addRow(Tensor bias, Tensor y);

  /**
   * {@code y[r, :] = x[r, :] / √(mean(x[r, :]²) + epsilon) · weight[0, :]}, F32 (RMSNorm, Zhang and
   * Sennrich 2019).
   */
  void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y);

  /**
   * Rotary position embedding in place (Su et al. 2021), the half-split layout of Hugging Face: in
   * each head of {@code headDim} columns, elements i and i + rotary/2 turn by the angle whose
   * cosine and sine are {@code cos[p, i]}, {@code sin[p, i]}, where p is the token's position and
   * rotary = 2 · columns of cos; elements from rotary on stay.
   *
   * @param x F32 [tokens, heads · headDim]
   * @param positions I32 [1, tokens]
   * @param cos F32 [positions, rotary / 2]
   */
  void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin);

  /**
   * Causal attention over several sequences that lie one after the other, without padding:
   * softmax(q·kᵀ·scale)·v for each head; query head h reads key head {@code h / (heads /
   * keyHeads)}. No tokens × tokens matrix exists.
   *
   * @param q F32 [tokens, heads · headDim]
   * @param k F32 [tokens, keyHeads · headDim]
   * @param v F32 [tokens, keyHeads · headDim]
   * @param starts first token of each sequence, then the number of tokens
   * @param y F32 [tokens, heads · headDim]
   */
  void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y);

  /** {@code y = activation(gate) · up}, F32; y may be gate or up (in place). */
  void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y);

  /**
   * Log-probability (natural) of one token under each row of logits: {@code out[0, r] = logits[r,
   * targets[0, r]] − log Σ exp(logits[r, :])}. F32, targets I32.
   */
  void logProbability(Tensor logits, Tensor targets, Tensor out);
}
