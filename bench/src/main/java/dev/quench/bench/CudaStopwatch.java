package dev.quench.bench;

import dev.quench.device.Device;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/**
 * Measures with the device's own clock. The two events are in a stream beside the one that
 * computes: the first is recorded when the device has nothing to do, the second when it has nothing
 * to do any more. What is measured should take milliseconds, beside which the microseconds until
 * the host knows of the end don't count.
 */
final class CudaStopwatch implements AutoCloseable {
  private final Device device;
  private final CUstream stream = new CUstream();
  private final CUevent start = new CUevent();
  private final CUevent end = new CUevent();

  /** For a device that was just opened by this thread, so that its context is current. */
  CudaStopwatch(Device device) {
    this.device = device;
    device.synchronize();
    check(JCudaDriver.cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
    check(JCudaDriver.cuEventCreate(start, CUevent_flags.CU_EVENT_DEFAULT));
    check(JCudaDriver.cuEventCreate(end, CUevent_flags.CU_EVENT_DEFAULT));
  }

  /** Seconds that the device needs for what {@code work} asks for. */
  double seconds(Runnable work) {
    device.synchronize();
    check(JCudaDriver.cuEventRecord(start, stream));
    check(JCudaDriver.cuEventSynchronize(start));
    work.run();
    device.synchronize();
    check(JCudaDriver.cuEventRecord(end, stream));
    check(JCudaDriver.cuEventSynchronize(end));
    float[] milliseconds = new float[1];
    check(JCudaDriver.cuEventElapsedTime(milliseconds, start, end));
    return 1e-3 * milliseconds[0];
  }

  private static void check(int status) {
    if (status != 0) {
      throw new IllegalStateException("the CUDA driver's events fail with " + status);
    }
  }

  @Override
  public void close() {
    JCudaDriver.cuEventDestroy(start);
    JCudaDriver.cuEventDestroy(end);
    JCudaDriver.cuStreamDestroy(stream);
  }
}
