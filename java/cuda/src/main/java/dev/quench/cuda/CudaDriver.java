package dev.quench.cuda;

import static java.lang.foreign.MemoryLayout.paddingLayout;
import static java.lang.foreign.MemoryLayout.structLayout;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/**
 * The part of the driver's interface ({@code cuda.h}, CUDA 12) that JCuda doesn't have, and the few
 * functions that tell whether there is a driver before JCuda is loaded. Functions are found by the
 * names that the library exports, which differ from those of the header where that renames them.
 *
 * <p>The handles take the function's address as their first argument, so that they are constants
 * whether or not there is a library to load.
 */
@SuppressWarnings("restricted") // native access is what this class is for
final class CudaDriver {
  /** {@code CUlaunchConfig}. */
  private static final StructLayout LAUNCH_CONFIG =
      structLayout(
          JAVA_INT.withName("gridDimX"),
          JAVA_INT.withName("gridDimY"),
          JAVA_INT.withName("gridDimZ"),
          JAVA_INT.withName("blockDimX"),
          JAVA_INT.withName("blockDimY"),
          JAVA_INT.withName("blockDimZ"),
          JAVA_INT.withName("sharedMemBytes"),
          paddingLayout(4),
          ADDRESS.withName("hStream"),
          ADDRESS.withName("attrs"),
          JAVA_INT.withName("numAttrs"),
          paddingLayout(4));

  /** {@code CUlaunchAttribute} where it holds a cluster's extents; the value has 64 bytes. */
  private static final StructLayout CLUSTER_ATTRIBUTE =
      structLayout(
          JAVA_INT.withName("id"),
          paddingLayout(4),
          JAVA_INT.withName("x"),
          JAVA_INT.withName("y"),
          JAVA_INT.withName("z"),
          paddingLayout(52));

  /** {@code CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION}. */
  private static final int CLUSTER_DIMENSION = 4;

  private static final Linker LINKER = Linker.nativeLinker();

  private static final MethodHandle INT_TO_STATUS =
      LINKER.downcallHandle(FunctionDescriptor.of(JAVA_INT, JAVA_INT));
  private static final MethodHandle ADDRESS_TO_STATUS =
      LINKER.downcallHandle(FunctionDescriptor.of(JAVA_INT, ADDRESS));
  private static final MethodHandle ADDRESS_INT_TO_STATUS =
      LINKER.downcallHandle(FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
  private static final MethodHandle ADDRESS_INT_INT_TO_STATUS =
      LINKER.downcallHandle(FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
  private static final MethodHandle INT_ADDRESS_TO_STATUS =
      LINKER.downcallHandle(FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS));
  private static final MethodHandle CU_LAUNCH_KERNEL_EX =
      LINKER.downcallHandle(FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS, ADDRESS));
  private static final MethodHandle CU_TENSOR_MAP_ENCODE_TILED =
      LINKER.downcallHandle(
          FunctionDescriptor.of(
              JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS, ADDRESS,
              JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));

  private final SymbolLookup library;

  CudaDriver(SymbolLookup library) {
    this.library = library;
  }

  private MemorySegment address(String function) {
    return library
        .find(function)
        .orElseThrow(
            () ->
                new CudaException(
                    "the driver has no " + function + "; a driver for CUDA 12.0 or later does"));
  }

  /** {@code cuInit(0)}. */
  int init() {
    try {
      return (int) INT_TO_STATUS.invokeExact(address("cuInit"), 0);
    } catch (Throwable e) {
      throw failed("cuInit", e);
    }
  }

  /** The CUDA version that the driver was made for, such as 12060 for 12.6. */
  int version() {
    return integer("cuDriverGetVersion");
  }

  int deviceCount() {
    return integer("cuDeviceGetCount");
  }

  /** {@code cuDeviceGetAttribute} of device {@code ordinal}, whose handle is the same number. */
  int attribute(int attribute, int ordinal) {
    String function = "cuDeviceGetAttribute";
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_INT);
      Status.check(
          (int) ADDRESS_INT_INT_TO_STATUS.invokeExact(address(function), value, attribute, ordinal),
          () -> function + "(" + attribute + ")",
          this);
      return value.get(JAVA_INT, 0);
    } catch (Throwable e) {
      throw failed(function, e);
    }
  }

  String deviceName(int ordinal) {
    String function = "cuDeviceGetName";
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocate(256);
      Status.check(
          (int) ADDRESS_INT_INT_TO_STATUS.invokeExact(address(function), name, 255, ordinal),
          function,
          this);
      return name.getString(0);
    } catch (Throwable e) {
      throw failed(function, e);
    }
  }

  /** Bytes of the device's memory. */
  long deviceMemory(int ordinal) {
    String function = "cuDeviceTotalMem_v2";
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(JAVA_LONG);
      Status.check(
          (int) ADDRESS_INT_TO_STATUS.invokeExact(address(function), bytes, ordinal),
          function,
          this);
      return bytes.get(JAVA_LONG, 0);
    } catch (Throwable e) {
      throw failed(function, e);
    }
  }

  private int integer(String function) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment value = arena.allocate(JAVA_INT);
      Status.check((int) ADDRESS_TO_STATUS.invokeExact(address(function), value), function, this);
      return value.get(JAVA_INT, 0);
    } catch (Throwable e) {
      throw failed(function, e);
    }
  }

  /** {@code cuGetErrorName}, such as {@code CUDA_ERROR_OUT_OF_MEMORY}. */
  String errorName(int status) {
    return text("cuGetErrorName", status);
  }

  /** {@code cuGetErrorString}: the error in words. */
  String errorText(int status) {
    return text("cuGetErrorString", status);
  }

  private String text(String function, int status) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(ADDRESS);
      int result = (int) INT_ADDRESS_TO_STATUS.invokeExact(address(function), status, pointer);
      MemorySegment text = pointer.get(ADDRESS, 0);
      return result != 0 || text.address() == 0
          ? "error " + status
          : text.reinterpret(Long.MAX_VALUE).getString(0);
    } catch (Throwable e) {
      throw failed(function, e);
    }
  }

  /**
   * {@code cuLaunchKernelEx} with a cluster of {@code clusterX} blocks.
   *
   * @param parameters addresses of the arguments
   */
  int launchKernelEx(
      long function, Grid grid, int clusterX, long stream, MemorySegment parameters) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment attribute = arena.allocate(CLUSTER_ATTRIBUTE);
      attribute.set(JAVA_INT, 0, CLUSTER_DIMENSION);
      attribute.set(JAVA_INT, 8, clusterX);
      attribute.set(JAVA_INT, 12, 1);
      attribute.set(JAVA_INT, 16, 1);
      MemorySegment config = arena.allocate(LAUNCH_CONFIG);
      int[] extents = {grid.x(), grid.y(), grid.z(), grid.threads(), 1, 1, grid.sharedBytes()};
      MemorySegment.copy(extents, 0, config, JAVA_INT, 0, extents.length);
      config.set(JAVA_LONG, 32, stream);
      config.set(ADDRESS, 40, attribute);
      config.set(JAVA_INT, 48, 1);
      return (int)
          CU_LAUNCH_KERNEL_EX.invokeExact(
              address("cuLaunchKernelEx"), config, function, parameters, MemorySegment.NULL);
    } catch (Throwable e) {
      throw failed("cuLaunchKernelEx", e);
    }
  }

  /**
   * {@code cuTensorMapEncodeTiled} of a matrix; dimension 0 is the one that is contiguous.
   *
   * @param map 128 bytes, aligned to 64, written
   * @param dimensions uint64[rank] {@code columns, rows}
   * @param strides uint64[rank − 1] in bytes
   * @param box uint32[rank]
   * @param elementStrides uint32[rank]
   */
  int tensorMapEncodeTiled(
      MemorySegment map,
      int dataType,
      int rank,
      long address,
      MemorySegment dimensions,
      MemorySegment strides,
      MemorySegment box,
      MemorySegment elementStrides,
      int swizzle,
      int l2Promotion) {
    try {
      return (int)
          CU_TENSOR_MAP_ENCODE_TILED.invokeExact(
              address("cuTensorMapEncodeTiled"),
              map,
              dataType,
              rank,
              address,
              dimensions,
              strides,
              box,
              elementStrides,
              0, // CU_TENSOR_MAP_INTERLEAVE_NONE
              swizzle,
              l2Promotion,
              0); // CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE: zeros
    } catch (Throwable e) {
      throw failed("cuTensorMapEncodeTiled", e);
    }
  }

  /** A downcall declares Throwable; what can come out of it is an error of the VM, or our own. */
  private static RuntimeException failed(String function, Throwable e) {
    return switch (e) {
      case Error error -> throw error;
      case RuntimeException exception -> exception;
      default -> new IllegalStateException(function, e);
    };
  }
}
