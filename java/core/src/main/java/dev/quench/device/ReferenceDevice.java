package dev.quench.device;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.RangeSearch;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The meaning of every operation: scalar code on one thread that reads like the formula, against
 * which the other devices are tested. Exact operations take the steps that define their bytes; the
 * others are computed in double precision and rounded once.
 */
public final class ReferenceDevice implements Device {
  private final HostPool pool = new HostPool();

  @Override
  public String description() {
    return "reference, 1 thread, scalar code";
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
  public boolean sharesHostMemory() {
    return true;
  }

  /** Returns at once: each operation is done when its call returns. */
  @Override
  public void synchronize() {}

  @Override
  public void close() {
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
    ReferenceMatrixProducts.gemm(
        alpha, HostMatrix.of(a), transposeA, HostMatrix.of(b), transposeB, beta, HostMatrix.of(c));
  }

  @Override
  public void syrk(Tensor x, Tensor h) {
    ReferenceMatrixProducts.syrk(HostMatrix.of(x), HostMatrix.of(h));
  }

  @Override
  public OptionalLong reverseCholesky(Tensor h) {
    return ReferenceMatrixProducts.reverseCholesky(HostMatrix.of(h));
  }

  @Override
  public void invertUpper(Tensor r) {
    ReferenceMatrixProducts.invertUpper(HostMatrix.of(r));
  }

  @Override
  public void hadamard(Tensor x, long size) {
    ReferenceHadamard.hadamard(HostMatrix.of(x), size);
  }

  @Override
  public void convert(Tensor source, Tensor target) {
    ReferenceMoving.convert(HostMatrix.of(source), HostMatrix.of(target));
  }

  @Override
  public void transpose(Tensor source, Tensor target) {
    ReferenceMoving.transpose(HostMatrix.of(source), HostMatrix.of(target));
  }

  @Override
  public void gatherRows(Tensor source, Tensor index, Tensor target) {
    ReferenceMoving.gatherRows(HostMatrix.of(source), HostMatrix.of(index), HostMatrix.of(target));
  }

  @Override
  public void gatherSymmetric(Tensor lower, Tensor index, Tensor target) {
    ReferenceMoving.gatherSymmetric(
        HostMatrix.of(lower), HostMatrix.of(index), HostMatrix.of(target));
  }

  @Override
  public void diagonal(Tensor matrix, Tensor values) {
    ReferenceMoving.diagonal(HostMatrix.of(matrix), HostMatrix.of(values));
  }

  @Override
  public void setDiagonal(Tensor values, Tensor matrix) {
    ReferenceMoving.setDiagonal(HostMatrix.of(values), HostMatrix.of(matrix));
  }

  @Override
  public void observe(Tensor x, long blockRows, long blockColumns, Tensor min, Tensor max) {
    ReferenceQuantization.observe(
        HostMatrix.of(x), blockRows, blockColumns, HostMatrix.of(min), HostMatrix.of(max));
  }

  @Override
  public void searchRange(
      Tensor x, QuantizationArgs args, RangeSearch search, Tensor min, Tensor max) {
    ReferenceSearch.searchRange(
        HostMatrix.of(x), Optional.empty(), args, search, HostMatrix.of(min), HostMatrix.of(max));
  }

  @Override
  public void searchWeighedRange(
      Tensor x,
      Tensor importance,
      QuantizationArgs args,
      RangeSearch search,
      Tensor min,
      Tensor max) {
    ReferenceSearch.searchRange(
        HostMatrix.of(x),
        Optional.of(HostMatrix.of(importance)),
        args,
        search,
        HostMatrix.of(min),
        HostMatrix.of(max));
  }

  @Override
  public void quantizationParameters(
      Tensor min,
      Tensor max,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint) {
    ReferenceQuantization.quantizationParameters(
        HostMatrix.of(min),
        HostMatrix.of(max),
        args,
        globalScale,
        HostMatrix.of(scale),
        HostMatrix.of(zeroPoint));
  }

  @Override
  public void quantize(
      Tensor x,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor codes) {
    ReferenceQuantization.quantize(
        HostMatrix.of(x),
        HostMatrix.of(scale),
        HostMatrix.of(zeroPoint),
        args,
        globalScale,
        HostMatrix.of(codes));
  }

  @Override
  public void quantizeToNearest(
      Tensor x,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint,
      Tensor codes) {
    ReferenceQuantization.quantizeToNearest(
        HostMatrix.of(x),
        args,
        globalScale,
        HostMatrix.of(scale),
        HostMatrix.of(zeroPoint),
        HostMatrix.of(codes));
  }

  @Override
  public void dequantize(
      Tensor codes,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor x) {
    ReferenceQuantization.dequantize(
        HostMatrix.of(codes),
        HostMatrix.of(scale),
        HostMatrix.of(zeroPoint),
        args,
        globalScale,
        HostMatrix.of(x));
  }

  @Override
  public void pack(Tensor codes, int bits, Tensor packed) {
    ReferenceQuantization.pack(HostMatrix.of(codes), bits, HostMatrix.of(packed));
  }

  @Override
  public void unpack(Tensor packed, int bits, Tensor codes) {
    ReferenceQuantization.unpack(HostMatrix.of(packed), bits, HostMatrix.of(codes));
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
    ReferenceQuantization.gptqBlock(
        HostMatrix.of(w),
        HostMatrix.of(u),
        HostMatrix.of(scale),
        HostMatrix.of(zeroPoint),
        HostMatrix.of(group),
        args,
        roundTo,
        HostMatrix.of(codes),
        HostMatrix.of(error),
        HostMatrix.of(loss));
  }

  @Override
  public void add(Tensor x, Tensor y) {
    ReferenceModel.add(HostMatrix.of(x), HostMatrix.of(y));
  }

  @Override
  public void round(Tensor x, DType dtype) {
    ReferenceModel.round(HostMatrix.of(x), dtype);
  }

  @Override
  public void scaleColumns(Tensor factors, Tensor y) {
    ReferenceModel.scaleColumns(HostMatrix.of(factors), HostMatrix.of(y));
  }

  @Override
  public void addRow(Tensor bias, Tensor y) {
    ReferenceModel.addRow(HostMatrix.of(bias), HostMatrix.of(y));
  }

  @Override
  public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    ReferenceModel.rmsNorm(HostMatrix.of(x), HostMatrix.of(weight), epsilon, HostMatrix.of(y));
  }

  @Override
  public void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin) {
    ReferenceModel.rope(
        HostMatrix.of(x),
        headDim,
        HostMatrix.of(positions),
        HostMatrix.of(cos),
        HostMatrix.of(sin));
  }

  @Override
  public void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    ReferenceModel.attention(
        HostMatrix.of(q), HostMatrix.of(k), HostMatrix.of(v), spec, starts, HostMatrix.of(y));
  }

  @Override
  public void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y) {
    ReferenceModel.gatedActivation(
        activation, HostMatrix.of(gate), HostMatrix.of(up), HostMatrix.of(y));
  }

  @Override
  public void logProbability(Tensor logits, Tensor targets, Tensor out) {
    ReferenceModel.logProbability(
        HostMatrix.of(logits), HostMatrix.of(targets), HostMatrix.of(out));
  }
}
