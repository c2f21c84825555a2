package dev.quench.cuda;

import java.util.function.Supplier;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/**
 * One device's primary context, and the two streams that Quench uses: one that computes, in which
 * operations take effect in the order of their calls, and one that copies beside it.
 *
 * <p>The context is made current by every call that comes from outside ({@link #enter}), since a
 * device may be driven by another thread than the one that opened it, and other code may use CUDA
 * in the same thread.
 */
final class CudaContext implements AutoCloseable {
  /** A stream whose handle can be handed to FFM. */
  private static final class Stream extends CUstream {
    long handle() {
      return getNativePointer();
    }
  }

  private final CudaDriver driver;
  private final CUdevice device;
  private final CUcontext context;
  private final CudaProperties properties;
  private final Stream compute = new Stream();
  private final Stream copies = new Stream();
  private final LaunchLog launches = new LaunchLog();

  private CudaContext(
      CudaDriver driver, CUdevice device, CUcontext context, CudaProperties properties) {
    this.driver = driver;
    this.device = device;
    this.context = context;
    this.properties = properties;
    enter();
    check(
        JCudaDriver.cuStreamCreate(compute, CUstream_flags.CU_STREAM_NON_BLOCKING),
        "cuStreamCreate");
    check(
        JCudaDriver.cuStreamCreate(copies, CUstream_flags.CU_STREAM_NON_BLOCKING),
        "cuStreamCreate");
  }

  /**
   * @throws CudaException if the driver fails
   */
  static CudaContext open(CudaDriver driver, CudaProperties properties) {
    try {
      Status.check(JCudaDriver.cuInit(0), "cuInit", driver);
    } catch (LinkageError e) {
      throw new CudaException("JCuda's native library can't be loaded: " + e.getMessage(), e);
    }
    CUdevice device = new CUdevice();
    Status.check(JCudaDriver.cuDeviceGet(device, properties.ordinal()), "cuDeviceGet", driver);
    CUcontext context = new CUcontext();
    Status.check(
        JCudaDriver.cuDevicePrimaryCtxRetain(context, device), "cuDevicePrimaryCtxRetain", driver);
    return new CudaContext(driver, device, context, properties);
  }

  CudaProperties properties() {
    return properties;
  }

  CudaDriver driver() {
    return driver;
  }

  /** Makes the context current in the calling thread. */
  void enter() {
    check(JCudaDriver.cuCtxSetCurrent(context), "cuCtxSetCurrent");
  }

  CUstream compute() {
    return compute;
  }

  long computeHandle() {
    return compute.handle();
  }

  CUstream copies() {
    return copies;
  }

  /** Kernels that may be under way, for messages. */
  LaunchLog launches() {
    return launches;
  }

  /** Waits until everything asked for is done, on both streams. */
  void synchronize() {
    check(JCudaDriver.cuStreamSynchronize(copies), "cuStreamSynchronize");
    check(JCudaDriver.cuStreamSynchronize(compute), "cuStreamSynchronize");
    launches.clear();
  }

  void check(int status, String function) {
    check(status, () -> function);
  }

  /**
   * @throws CudaException if the call failed, or reports the failure of a kernel before it
   */
  void check(int status, Supplier<String> what) {
    if (status == Status.SUCCESS) {
      return;
    }
    CudaException failure = Status.failure(status, what.get(), driver);
    throw Status.isKernelFailure(status) ? launches.explain(failure) : failure;
  }

  /** Bytes of device memory that nobody uses. */
  long freeMemory() {
    long[] free = new long[1];
    check(JCudaDriver.cuMemGetInfo(free, new long[1]), "cuMemGetInfo");
    return free[0];
  }

  /** Gives the context back; what is under way is waited for, whether or not it fails. */
  @Override
  public void close() {
    JCudaDriver.cuCtxSetCurrent(context);
    JCudaDriver.cuStreamSynchronize(copies);
    JCudaDriver.cuStreamSynchronize(compute);
    JCudaDriver.cuStreamDestroy(copies);
    JCudaDriver.cuStreamDestroy(compute);
    JCudaDriver.cuDevicePrimaryCtxRelease(device);
  }
}
