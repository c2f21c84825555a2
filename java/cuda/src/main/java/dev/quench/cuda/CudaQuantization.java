package dev.quench.cuda;

import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;

/** Ranges, codes and packing on the CUDA device. */
final class CudaQuantization {
  private final Kernels kernels;
  private final CudaMemory memory;

  CudaQuantization(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
    this.memory = memory;
  }

  void observe(Tensor x, long blockRows, long blockColumns, Tensor min, Tensor max) {
    throw new UnsupportedOperationException("observe");
  }

  void quantizationParameters(
      Tensor min, Tensor max, QuantizationArgs args, Tensor scale, Tensor zeroPoint) {
    throw new UnsupportedOperationException("quantizationParameters");
  }

  void quantize(Tensor x, Tensor scale, Tensor zeroPoint, QuantizationArgs args, Tensor codes) {
    throw new UnsupportedOperationException("quantize");
  }

  void quantizeToNearest(
      Tensor x, QuantizationArgs args, Tensor scale, Tensor zeroPoint, Tensor codes) {
    throw new UnsupportedOperationException("quantizeToNearest");
  }

  void dequantize(Tensor codes, Tensor scale, Tensor zeroPoint, QuantizationArgs args, Tensor x) {
    throw new UnsupportedOperationException("dequantize");
  }

  void pack(Tensor codes, int bits, Tensor packed) {
    throw new UnsupportedOperationException("pack");
  }

  void unpack(Tensor packed, int bits, Tensor codes) {
    throw new UnsupportedOperationException("unpack");
  }
}
