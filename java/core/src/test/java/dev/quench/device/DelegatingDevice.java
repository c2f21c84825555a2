package dev.quench.device;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.RangeSearch;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.util.OptionalLong;

/** Another device, for subclasses that change or watch some of its operations. */
abstract class DelegatingDevice implements Device {
  private final Device device;

  /** Closing this closes {@code device}. */
  DelegatingDevice(Device device) {
    this.device = device;
  }

  @Override
  public String description() {
    return device.description();
  }

  @Override
  public Scope openScope() {
    return device.openScope();
  }

  @Override
  public void download(Tensor source, HostTensor target) {
    device.download(source, target);
  }

  @Override
  public boolean sharesHostMemory() {
    return device.sharesHostMemory();
  }

  @Override
  public void synchronize() {
    device.synchronize();
  }

  @Override
  public void close() {
    device.close();
  }

  @Override
  public void convert(Tensor source, Tensor target) {
    device.convert(source, target);
  }

  @Override
  public void transpose(Tensor source, Tensor target) {
    device.transpose(source, target);
  }

  @Override
  public void gatherRows(Tensor source, Tensor index, Tensor target) {
    device.gatherRows(source, index, target);
  }

  @Override
  public void gatherSymmetric(Tensor lower, Tensor index, Tensor target) {
    device.gatherSymmetric(lower, index, target);
  }

  @Override
  public void diagonal(Tensor matrix, Tensor values) {
    device.diagonal(matrix, values);
  }

  @Override
  public void setDiagonal(Tensor values, Tensor matrix) {
    device.setDiagonal(values, matrix);
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
    device.gemm(alpha, a, transposeA, b, transposeB, beta, c);
  }

  @Override
  public void syrk(Tensor x, Tensor h) {
    device.syrk(x, h);
  }

  @Override
  public OptionalLong reverseCholesky(Tensor h) {
    return device.reverseCholesky(h);
  }

  @Override
  public void invertUpper(Tensor r) {
    device.invertUpper(r);
  }

  @Override
  public void hadamard(Tensor x, long size) {
    device.hadamard(x, size);
  }

  @Override
  public void observe(Tensor x, long blockRows, long blockColumns, Tensor min, Tensor max) {
    device.observe(x, blockRows, blockColumns, min, max);
  }

  @Override
  public void searchRange(
      Tensor x, QuantizationArgs args, RangeSearch search, Tensor min, Tensor max) {
    device.searchRange(x, args, search, min, max);
  }

  @Override
  public void searchWeighedRange(
      Tensor x,
      Tensor importance,
      QuantizationArgs args,
      RangeSearch search,
      Tensor min,
      Tensor max) {
    device.searchWeighedRange(x, importance, args, search, min, max);
  }

  @Override
  public void quantizationParameters(
      Tensor min,
      Tensor max,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint) {
    device.quantizationParameters(min, max, args, globalScale, scale, zeroPoint);
  }

  @Override
  public void quantize(
      Tensor x,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor codes) {
    device.quantize(x, scale, zeroPoint, args, globalScale, codes);
  }

  @Override
  public void quantizeToNearest(
      Tensor x,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint,
      Tensor codes) {
    device.quantizeToNearest(x, args, globalScale, scale, zeroPoint, codes);
  }

  @Override
  public void dequantize(
      Tensor codes,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor x) {
    device.dequantize(codes, scale, zeroPoint, args, globalScale, x);
  }

  @Override
  public void pack(Tensor codes, int bits, Tensor packed) {
    device.pack(codes, bits, packed);
  }

  @Override
  public void unpack(Tensor packed, int bits, Tensor codes) {
    device.unpack(packed, bits, codes);
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
    device.gptqBlock(w, u, scale, zeroPoint, group, args, roundTo, codes, error, loss);
  }

  @Override
  public void add(Tensor x, Tensor y) {
    device.add(x, y);
  }

  @Override
  public void round(Tensor x, DType dtype) {
    device.round(x, dtype);
  }

  @Override
  public void scaleColumns(Tensor factors, Tensor y) {
    device.scaleColumns(factors, y);
  }

  @Override
  public void addRow(Tensor bias, Tensor y) {
    device.addRow(bias, y);
  }

  @Override
  public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    device.rmsNorm(x, weight, epsilon, y);
  }

  @Override
  public void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin) {
    device.rope(x, headDim, positions, cos, sin);
  }

  @Override
  public void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    device.attention(q, k, v, spec, starts, y);
  }

  @Override
  public void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y) {
    device.gatedActivation(activation, gate, up, y);
  }

  @Override
  public void logProbability(Tensor logits, Tensor targets, Tensor out) {
    device.logProbability(logits, targets, out);
  }
}
