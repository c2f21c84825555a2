package dev.quench.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import jcuda.Pointer;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUmodule;
import jcuda.driver.JCudaDriver;

/**
 * The kernels of the jar on one device: their modules are loaded when a kernel of theirs is first
 * launched. Launches go to the stream that computes.
 */
final class Kernels implements AutoCloseable {
  /** System property: wait after each launch, so that a kernel's failure names the kernel. */
  static final String SYNCHRONOUS = "quench.cuda.synchronous";

  /** Shared memory of a block that needs no leave. */
  private static final int SHARED_WITHOUT_LEAVE = 48 << 10;

  private static final int MAX_ARGUMENTS = 64;
  private static final int MAX_ARGUMENT_BYTES = 4096;

  /** A kernel whose handle can be handed to FFM, and what its launches may ask for so far. */
  private static final class Function extends CUfunction {
    private int shared = SHARED_WITHOUT_LEAVE;

    long handle() {
      return getNativePointer();
    }
  }

  private final CudaContext context;
  private final Uploads uploads;
  private final KernelImages images;
  private final boolean synchronous = Boolean.getBoolean(SYNCHRONOUS);
  private final Map<String, CUmodule> modules = new LinkedHashMap<>();
  private final Map<String, Function> functions = new HashMap<>();
  private final Arena arena = Arena.ofShared();
  private final MemorySegment values = arena.allocate(MAX_ARGUMENT_BYTES, TensorMap.ALIGNMENT);
  private final MemorySegment pointers = arena.allocate(JAVA_LONG, MAX_ARGUMENTS);
  private final Pointer parameters = Pointer.to(pointers.asByteBuffer());

  Kernels(CudaContext context, Uploads uploads, KernelImages images) {
    this.context = context;
    this.uploads = uploads;
    this.images = images;
  }

  /** What the device can do. */
  CudaProperties device() {
    return context.properties();
  }

  /** Whether there is a kernel of that name that runs on this device. */
  boolean has(String kernel) {
    return image(kernel).isPresent();
  }

  private Optional<KernelImages.Image> image(String kernel) {
    return images.of(kernel, context.properties().capability());
  }

  /** A tensor map of a matrix, to be passed to a kernel of sm_90. */
  TensorMap tensorMap(CudaMatrix matrix, int boxRows, int boxColumns, TensorMap.Swizzle swizzle) {
    return TensorMap.of(context.driver(), matrix, boxRows, boxColumns, swizzle);
  }

  /**
   * Launches a kernel. Without blocks there is nothing to do.
   *
   * @throws CudaException if it can't be launched, or if an earlier one failed
   */
  void launch(String kernel, Grid grid, Arguments arguments) {
    launch(kernel, grid, 1, arguments);
  }

  /** The same in clusters of {@code cluster} blocks along x, which must divide the grid. */
  void launch(String kernel, Grid grid, int cluster, Arguments arguments) {
    if (grid.isEmpty()) {
      return;
    }
    context.enter();
    Function function = function(kernel);
    allowShared(kernel, function, grid.sharedBytes());
    arguments.forEachAddress(uploads::await);
    arguments.write(values, pointers);
    int status =
        cluster == 1
            ? JCudaDriver.cuLaunchKernel(
                function,
                grid.x(),
                grid.y(),
                grid.z(),
                grid.threads(),
                1,
                1,
                grid.sharedBytes(),
                context.compute(),
                parameters,
                new Pointer())
            : context
                .driver()
                .launchKernelEx(
                    function.handle(), grid, cluster, context.computeHandle(), pointers);
    context.check(status, () -> "launch of " + kernel + grid + arguments);
    context.launches().add(kernel, grid, arguments);
    if (synchronous) {
      context.check(
          JCudaDriver.cuStreamSynchronize(context.compute()), () -> kernel + grid + arguments);
      context.launches().clear();
    }
  }

  private void allowShared(String kernel, Function function, int bytes) {
    if (bytes <= function.shared) {
      return;
    }
    context.check(
        JCudaDriver.cuFuncSetAttribute(
            function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes),
        () -> kernel + " with " + bytes + " bytes of shared memory");
    function.shared = bytes;
  }

  private Function function(String kernel) {
    Function known = functions.get(kernel);
    if (known != null) {
      return known;
    }
    KernelImages.Image image =
        image(kernel)
            .orElseThrow(
                () -> new CudaException("no kernel " + kernel + " for this device in the jar"));
    Function function = new Function();
    context.check(
        JCudaDriver.cuModuleGetFunction(function, module(image), kernel),
        () -> "cuModuleGetFunction of " + kernel + " in " + image.file());
    functions.put(kernel, function);
    return function;
  }

  private CUmodule module(KernelImages.Image image) {
    CUmodule known = modules.get(image.file());
    if (known != null) {
      return known;
    }
    CUmodule module = load(image);
    modules.put(image.file(), module);
    return module;
  }

  /** From machine code where the driver takes it, which saves compiling the PTX. */
  private CUmodule load(KernelImages.Image image) {
    CUmodule module = new CUmodule();
    Optional<KernelImages.Cubin> cubin = image.cubin(context.properties().capability());
    if (cubin.isPresent()
        && context.properties().driverVersion() >= images.compilerVersion()
        && JCudaDriver.cuModuleLoadData(module, cubin.get().content()) == Status.SUCCESS) {
      return module;
    }
    int status = JCudaDriver.cuModuleLoadData(module, image.ptx());
    if (status == Status.UNSUPPORTED_PTX_VERSION) {
      throw new CudaException(
          "%s is PTX %s, which the driver, made for CUDA %s, doesn't know; a newer driver does"
              .formatted(
                  image.file(),
                  image.ptxVersion(),
                  CudaProperties.version(context.properties().driverVersion())));
    }
    context.check(status, () -> "cuModuleLoadData of " + image.file());
    return module;
  }

  @Override
  public void close() {
    context.enter();
    modules.values().forEach(JCudaDriver::cuModuleUnload);
    arena.close();
  }
}
