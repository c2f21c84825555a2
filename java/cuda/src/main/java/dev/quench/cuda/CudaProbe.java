package dev.quench.cuda;

import java.lang.foreign.SymbolLookup;
import java.util.Optional;

/**
 * Whether Quench can use CUDA on this machine. Asking is cheap where there is no driver: then
 * neither JCuda nor a binding is loaded.
 */
public sealed interface CudaProbe {
  /** It can use this device with these kernels. */
  record Usable(CudaProperties device, CudaKernels kernels) implements CudaProbe {}

  /**
   * It can't.
   *
   * @param reason a clause that says why, and what would help
   */
  record Unusable(String reason) implements CudaProbe {}

  /** Looks at the first device. */
  static CudaProbe first() {
    Optional<SymbolLookup> library = DriverLibrary.find();
    if (library.isEmpty()) {
      return new Unusable("there is no NVIDIA driver (" + DriverLibrary.NAME + " can't be loaded)");
    }
    try {
      return first(new CudaDriver(library.get()));
    } catch (CudaException e) {
      return new Unusable("the driver doesn't work: " + e.reason());
    }
  }

  private static CudaProbe first(CudaDriver driver) {
    Status.check(driver.init(), "cuInit", driver);
    if (driver.deviceCount() == 0) {
      return new Unusable("the driver knows of no device");
    }
    CudaProperties device = CudaProperties.of(driver, 0);
    if (device.capability() < CudaProperties.MIN_CAPABILITY) {
      return new Unusable(device + ": the kernels need compute capability 8.0 or later");
    }
    CudaKernels kernels = CudaKernels.inJar();
    if (kernels.count() == 0) {
      return new Unusable(
          "this build has no kernels: it was made where no CUDA compiler was; build with -Dquench.nvcc=wheels");
    }
    if (device.driverVersion() < kernels.minDriver()) {
      return new Unusable(
          "the driver is made for CUDA %s; the kernels (PTX %s) need one for CUDA %s or later"
              .formatted(
                  CudaProperties.version(device.driverVersion()),
                  kernels.ptxVersion(),
                  CudaProperties.version(kernels.minDriver())));
    }
    if (!CublasLibrary.load()) {
      return new Unusable(
          "cuBLAS can't be loaded; %s of a CUDA 12 toolkit has to be in LD_LIBRARY_PATH or in CUDA_HOME"
              .formatted(CublasLibrary.NAME));
    }
    return new Usable(device, kernels);
  }
}
