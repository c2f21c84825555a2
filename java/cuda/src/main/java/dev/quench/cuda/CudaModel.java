package dev.quench.cuda;

import dev.quench.device.Activation;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;

/** Operations of a forward pass on the CUDA device. */
final class CudaModel {
  private final Kernels kernels;
  private final CudaMemory memory;

  CudaModel(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
    this.memory = memory;
  }

  void add(Tensor x, Tensor y) {
    throw new UnsupportedOperationException("add");
  }

  void round(Tensor x, DType dtype) {
    throw new UnsupportedOperationException("round");
  }

  void scaleColumns(Tensor factors, Tensor y) {
    throw new UnsupportedOperationException("scaleColumns");
  }

  void addRow(Tensor bias, Tensor y) {
    throw new UnsupportedOperationException("addRow");
  }

  void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    throw new UnsupportedOperationException("rmsNorm");
  }

  void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin) {
    throw new UnsupportedOperationException("rope");
  }

  void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y) {
    throw new UnsupportedOperationException("gatedActivation");
  }

  void logProbability(Tensor logits, Tensor targets, Tensor out) {
    throw new UnsupportedOperationException("logProbability");
  }
}
