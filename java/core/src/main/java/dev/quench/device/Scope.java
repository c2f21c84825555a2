package dev.quench.device;

import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;

/**
 * Owns tensors of one device; closing it gives their memory back to the device's pool. Not
 * thread-safe.
 */
public interface Scope extends AutoCloseable {

  /** A tensor of unspecified content. */
  Tensor allocate(DType dtype, long rows, long columns);

  /** A tensor of zeros. */
  Tensor zeros(DType dtype, long rows, long columns);

  /**
   * Makes a host tensor available on the device, as the matrix {@code source.rows() ×
   * source.columns()}. A device that works in host memory shares it, so the source must outlive
   * this scope and must not be written through the result.
   */
  Tensor upload(HostTensor source);

  /** A one-row F32 tensor of those values. */
  Tensor floats(float... values);

  /** A one-row I32 tensor of those values. */
  Tensor ints(int... values);

  @Override
  void close();
}
