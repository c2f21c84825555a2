package dev.quench.cuda.standin;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import jcuda.CudaException;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUmodule;
import jcuda.driver.JCudaDriver;

/** Runs kernels of a PTX text on the stand-in, through JCuda as the product does. */
final class PtxRunner implements AutoCloseable {
  private final CUcontext context = new CUcontext();
  private final CUmodule module = new CUmodule();
  private final List<CUdeviceptr> buffers = new ArrayList<>();

  private PtxRunner(String ptx) {
    JCudaDriver.setExceptionsEnabled(true);
    JCudaDriver.cuInit(0);
    CUdevice device = new CUdevice();
    JCudaDriver.cuDeviceGet(device, 0);
    JCudaDriver.cuCtxCreate(context, 0, device);
    byte[] text = ptx.getBytes(StandardCharsets.UTF_8);
    JCudaDriver.cuModuleLoadData(module, Arrays.copyOf(text, text.length + 1));
  }

  /** Translates and compiles a text that the stand-in can then load. */
  static Translation compile(String ptx) throws IOException {
    require();
    Path kernels = StandIn.requested().orElseThrow().toAbsolutePath().resolve("kernels");
    return StandIn.library(kernels, BuildOptions.plain()).compile("test", ptx);
  }

  /** Skips the test, or fails it where that is asked for, if there is no stand-in. */
  static void require() {
    Optional<String> missing =
        StandIn.requested().isEmpty()
            ? Optional.of("LD_LIBRARY_PATH doesn't ask for the stand-in")
            : StandIn.prepare();
    if (missing.isPresent()) {
      if (System.getenv().getOrDefault("QUENCH_REQUIRE_CUDA_TESTS", "0").equals("1")) {
        fail(missing.get());
      }
      abort(missing.get());
    }
  }

  /** Loads a text that {@link #compile} has compiled. */
  static PtxRunner load(String ptx) {
    return new PtxRunner(ptx);
  }

  /** A buffer with this content; its address is a parameter. */
  CUdeviceptr buffer(long[] words) {
    CUdeviceptr buffer = allocate(8L * words.length);
    JCudaDriver.cuMemcpyHtoD(buffer, Pointer.to(words), 8L * words.length);
    return buffer;
  }

  CUdeviceptr buffer(int[] words) {
    CUdeviceptr buffer = allocate(4L * words.length);
    JCudaDriver.cuMemcpyHtoD(buffer, Pointer.to(words), 4L * words.length);
    return buffer;
  }

  CUdeviceptr buffer(float[] values) {
    CUdeviceptr buffer = allocate(4L * values.length);
    JCudaDriver.cuMemcpyHtoD(buffer, Pointer.to(values), 4L * values.length);
    return buffer;
  }

  private CUdeviceptr allocate(long bytes) {
    CUdeviceptr buffer = new CUdeviceptr();
    JCudaDriver.cuMemAlloc(buffer, bytes);
    buffers.add(buffer);
    return buffer;
  }

  /**
   * Launches a kernel whose parameters are buffers, and waits for it.
   *
   * @throws CudaException if it fails
   */
  void launch(String kernel, int blocks, int threads, int shared, CUdeviceptr... parameters) {
    launch(
        kernel,
        blocks,
        threads,
        shared,
        Arrays.stream(parameters).map(Pointer::to).toArray(Pointer[]::new));
  }

  /** The same with pointers to parameters of any kind. */
  void launch(String kernel, int blocks, int threads, int shared, Pointer[] pointers) {
    CUfunction function = new CUfunction();
    JCudaDriver.cuModuleGetFunction(function, module, kernel);
    JCudaDriver.cuLaunchKernel(
        function, blocks, 1, 1, threads, 1, 1, shared, null, Pointer.to(pointers), null);
    JCudaDriver.cuCtxSynchronize();
  }

  /** Lets a kernel have more than 48 KiB of dynamic shared memory. */
  void allowShared(String kernel, int bytes) {
    CUfunction function = new CUfunction();
    JCudaDriver.cuModuleGetFunction(function, module, kernel);
    JCudaDriver.cuFuncSetAttribute(
        function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes);
  }

  /** A buffer's address. */
  static long address(CUdeviceptr buffer) {
    return new Address(buffer).value();
  }

  /** JCuda keeps a pointer's value from all but its subclasses. */
  private static final class Address extends CUdeviceptr {
    Address(CUdeviceptr buffer) {
      super(buffer);
    }

    long value() {
      return getNativePointer();
    }
  }

  long[] longs(CUdeviceptr buffer, int count) {
    long[] words = new long[count];
    JCudaDriver.cuMemcpyDtoH(Pointer.to(words), buffer, 8L * count);
    return words;
  }

  int[] ints(CUdeviceptr buffer, int count) {
    int[] words = new int[count];
    JCudaDriver.cuMemcpyDtoH(Pointer.to(words), buffer, 4L * count);
    return words;
  }

  float[] floats(CUdeviceptr buffer, int count) {
    float[] values = new float[count];
    JCudaDriver.cuMemcpyDtoH(Pointer.to(values), buffer, 4L * count);
    return values;
  }

  /** Frees all; after a failed launch nothing can be freed but the context. */
  @Override
  public void close() {
    JCudaDriver.cuCtxDestroy(context);
  }
}
