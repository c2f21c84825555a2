package dev.quench.device;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.RangeSearch;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
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
  private final CpuHadamard hadamard;
  private final CpuMoving moving;
  private final CpuQuantization quantization;
  private final CpuSearch search;
  private final CpuSolver solver;
  private final CpuModel model;
  private final CpuAttention attention;
  private final List<CpuDevice> lanes = new ArrayList<>();

  /**
   * @param threads how many threads work, the caller's among them; at least 1
   */
  public CpuDevice(int threads) {
    workers = new Workers(threads);
    products = new CpuMatrixProducts(workers, serial, pool);
    hadamard = new CpuHadamard(workers, pool);
    moving = new CpuMoving(workers, pool);
    quantization = new CpuQuantization(workers);
    search = new CpuSearch(workers);
    solver = new CpuSolver(workers);
    model = new CpuModel(workers, pool);
    attention = new CpuAttention(workers, serial, pool);
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
    HostMatrix.of(source).copyTo(target);
  }

  @Override
  public HostTensor onHost(Tensor source, Shape shape, Arena arena) {
    return HostMatrix.of(source).asHostTensor(shape);
  }

  @Override
  public List<Device> lanes() {
    while (lanes.size() < workers.threads()) {
      lanes.add(new CpuDevice(1));
    }
    return List.copyOf(lanes);
  }

  @Override
  public boolean sharesHostMemory() {
    return true;
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
    lanes.forEach(CpuDevice::close);
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
  public void hadamard(Tensor x, long size) {
    hadamard.hadamard(x, size);
  }

  @Override
  public void convert(Tensor source, Tensor target) {
    moving.convert(source, target);
  }

  @Override
  public void transpose(Tensor source, Tensor target) {
    moving.transpose(source, target);
  }

  @Override
  public void gatherRows(Tensor source, Tensor index, Tensor target) {
    moving.gatherRows(source, index, target);
  }

  @Override
  public void gatherSymmetric(Tensor lower, Tensor index, Tensor target) {
    moving.gatherSymmetric(lower, index, target);
  }

  @Override
  public void diagonal(Tensor matrix, Tensor values) {
    moving.diagonal(matrix, values);
  }

  @Override
  public void setDiagonal(Tensor values, Tensor matrix) {
    moving.setDiagonal(values, matrix);
  }

  @Override
  public void observe(Tensor x, long blockRows, long blockColumns, Tensor min, Tensor max) {
    quantization.observe(x, blockRows, blockColumns, min, max);
  }

  @Override
  public void searchRange(
      Tensor x, QuantizationArgs args, RangeSearch search, Tensor min, Tensor max) {
    quantization.observe(x, args.blockRows(x.rows()), args.blockColumns(x.columns()), min, max);
    this.search.searchRange(x, Optional.empty(), args, search, min, max);
  }

  @Override
  public void searchWeighedRange(
      Tensor x,
      Tensor importance,
      QuantizationArgs args,
      RangeSearch search,
      Tensor min,
      Tensor max) {
    quantization.observe(x, args.blockRows(x.rows()), args.blockColumns(x.columns()), min, max);
    this.search.searchRange(x, Optional.of(importance), args, search, min, max);
  }

  @Override
  public void quantizationParameters(
      Tensor min,
      Tensor max,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint) {
    quantization.quantizationParameters(min, max, args, globalScale, scale, zeroPoint);
  }

  @Override
  public void quantize(
      Tensor x,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor codes) {
    quantization.quantize(x, scale, zeroPoint, args, globalScale, codes);
  }

  @Override
  public void quantizeToNearest(
      Tensor x,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint,
      Tensor codes) {
    quantization.quantizeToNearest(x, args, globalScale, scale, zeroPoint, codes);
  }

  @Override
  public void dequantize(
      Tensor codes,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor x) {
    quantization.dequantize(codes, scale, zeroPoint, args, globalScale, x);
  }

  @Override
  public void pack(Tensor codes, int bits, Tensor packed) {
    quantization.pack(codes, bits, packed);
  }

  @Override
  public void unpack(Tensor packed, int bits, Tensor codes) {
    quantization.unpack(packed, bits, codes);
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
    solver.gptqBlock(w, u, scale, zeroPoint, group, args, roundTo, codes, error, loss);
  }

  @Override
  public void add(Tensor x, Tensor y) {
    model.add(x, y);
  }

  @Override
  public void round(Tensor x, DType dtype) {
    model.round(x, dtype);
  }

  @Override
  public void scaleColumns(Tensor factors, Tensor y) {
    model.scaleColumns(factors, y);
  }

  @Override
  public void addRow(Tensor bias, Tensor y) {
    model.addRow(bias, y);
  }

  @Override
  public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    model.rmsNorm(x, weight, epsilon, y);
  }

  @Override
  public void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin) {
    model.rope(x, headDim, positions, cos, sin);
  }

  @Override
  public void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    attention.attention(q, k, v, spec, starts, y);
  }

  @Override
  public void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y) {
    model.gatedActivation(activation, gate, up, y);
  }

  @Override
  public void logProbability(Tensor logits, Tensor targets, Tensor out) {
    model.logProbability(logits, targets, out);
  }
}
