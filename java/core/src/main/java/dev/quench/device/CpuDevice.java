package dev.quench.device;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.util.OptionalLong;

/**
 * The device that works in host memory with the processor's vector instructions, and oneDNN for
 * matrix products where it can be loaded. Each operation is done when its call returns.
 */
public final class CpuDevice implements Device {
  private final HostPool pool = new HostPool();
  private final Workers workers;
  private final SerialGemm serial = new ChosenGemm();
  private final CpuMatrixProducts products;

  /**
   * @param threads how many threads work, the caller's among them; at least 1
   */
  public CpuDevice(int threads) {
    workers = new Workers(threads);
    products = new CpuMatrixProducts(workers, serial, pool);
  }

  /**
   * {@inheritDoc}
   *
   * <p>Loads the library for matrix products, which is otherwise done when the first one runs.
   */
  @Override
  public String description() {
    return "CPU, %d %s, %d-bit vectors, matrix products by %s"
        .formatted(
            workers.threads(),
            workers.threads() == 1 ? "thread" : "threads",
            VectorShapes.FLOAT.vectorBitSize(),
            serial.description());
  }

  @Override
  public Scope openScope() {
    return new HostScope(pool);
  }

  @Override
  public void download(Tensor source, HostTensor target) {
    HostMatrix from = HostMatrix.of(source);
    if (from.dtype() != target.dtype()
        || from.rows() * from.columns() != target.shape().elements()) {
      throw new IllegalArgumentException(
          "download of " + from + " to " + target.dtype() + " " + target.shape());
    }
    long rowBytes = from.dtype().bytes(from.columns());
    for (long row = 0; row < from.rows(); row++) {
      target
          .data()
          .asSlice(row * rowBytes, rowBytes)
          .copyFrom(from.memory().asSlice(from.offset(row, 0), rowBytes));
    }
  }

  /** Returns at once: no operation is under way between calls. */
  @Override
  public void synchronize() {}

  /** Gives the memory of closed scopes back to the system. */
  public void trim() {
    pool.trim();
  }

  @Override
  public void close() {
    workers.close();
    pool.close();
  }

  @Override
  public void gemm(
      float alpha,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      float beta,
      Tensor c) {
    products.gemm(alpha, a, transposeA, b, transposeB, beta, c);
  }

  @Override
  public void syrk(Tensor x, Tensor h) {
    products.syrk(x, h);
  }

  @Override
  public OptionalLong reverseCholesky(Tensor h) {
    return products.reverseCholesky(h);
  }

  @Override
  public void invertUpper(Tensor r) {
    products.invertUpper(r);
  }

  @Override
  public void convert(Tensor source, Tensor target) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void transpose(Tensor source, Tensor target) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void gatherRows(Tensor source, Tensor index, Tensor target) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void gatherSymmetric(Tensor lower, Tensor index, Tensor target) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void diagonal(Tensor matrix, Tensor values) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void setDiagonal(Tensor values, Tensor matrix) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void observe(Tensor x, long blockRows, long blockColumns, Tensor min, Tensor max) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void quantizationParameters(
      Tensor min, Tensor max, QuantizationArgs args, Tensor scale, Tensor zeroPoint) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void quantize(
      Tensor x, Tensor scale, Tensor zeroPoint, QuantizationArgs args, Tensor codes) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void quantizeToNearest(
      Tensor x, QuantizationArgs args, Tensor scale, Tensor zeroPoint, Tensor codes) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void dequantize(
      Tensor codes, Tensor scale, Tensor zeroPoint, QuantizationArgs args, Tensor x) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void pack(Tensor codes, int bits, Tensor packed) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void unpack(Tensor packed, int bits, Tensor codes) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void gptqBlock(
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
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void add(Tensor x, Tensor y) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void addRow(Tensor bias, Tensor y) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y) {
    throw new UnsupportedOperationException("not merged");
  }

  @Override
  public void logProbability(Tensor logits, Tensor targets, Tensor out) {
    throw new UnsupportedOperationException("not merged");
  }
}
