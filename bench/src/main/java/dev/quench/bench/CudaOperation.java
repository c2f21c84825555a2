package dev.quench.bench;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import java.util.List;

/** An operation of the CUDA device that launches kernels, on operands of given sizes. */
interface CudaOperation {
  /** What each of its kernels has to do, in the order of the first launches. */
  List<KernelWork> work(CudaSizes sizes);

  /**
   * Makes its operands.
   *
   * @param scope owns them
   * @return runs it once; may be repeated
   */
  Runnable prepare(Device device, Scope scope, CudaSizes sizes);
}
