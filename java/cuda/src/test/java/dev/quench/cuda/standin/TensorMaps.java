package dev.quench.cuda.standin;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import jcuda.driver.CUdeviceptr;

/** {@code cuTensorMapEncodeTiled}, as tests need it. */
final class TensorMaps {
  /** {@code CU_TENSOR_MAP_DATA_TYPE_INT32}. */
  static final int INT32 = 3;

  /** {@code CU_TENSOR_MAP_DATA_TYPE_BFLOAT16}. */
  static final int BFLOAT16 = 9;

  private TensorMaps() {}

  /**
   * The 128 bytes of a tensor map.
   *
   * @param sizes elements of each dimension, the innermost first
   * @param strides bytes of each dimension but the innermost
   * @param swizzle 0 for none, 1, 2, 3 for 32, 64, 128 bytes
   */
  @SuppressWarnings("restricted") // the driver is the stand-in
  static byte[] encode(
      int type, CUdeviceptr tensor, long[] sizes, long[] strides, int[] box, int swizzle) {
    SymbolLookup driver = SymbolLookup.libraryLookup("libcuda.so.1", Arena.global());
    FunctionDescriptor signature =
        FunctionDescriptor.of(
            ValueLayout.JAVA_INT,
            ValueLayout.ADDRESS,
            ValueLayout.JAVA_INT,
            ValueLayout.JAVA_INT,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.ADDRESS,
            ValueLayout.JAVA_INT,
            ValueLayout.JAVA_INT,
            ValueLayout.JAVA_INT,
            ValueLayout.JAVA_INT);
    int[] ones = new int[sizes.length];
    Arrays.fill(ones, 1);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment map = arena.allocate(128, 64);
      int status =
          (int)
              Linker.nativeLinker()
                  .downcallHandle(driver.findOrThrow("cuTensorMapEncodeTiled"), signature)
                  .invokeExact(
                      map,
                      type,
                      sizes.length,
                      MemorySegment.ofAddress(PtxRunner.address(tensor)),
                      arena.allocateFrom(ValueLayout.JAVA_LONG, sizes),
                      arena.allocateFrom(ValueLayout.JAVA_LONG, strides),
                      arena.allocateFrom(ValueLayout.JAVA_INT, box),
                      arena.allocateFrom(ValueLayout.JAVA_INT, ones),
                      0,
                      swizzle,
                      0,
                      0);
      if (status != 0) {
        throw new IllegalArgumentException("cuTensorMapEncodeTiled returns " + status);
      }
      return map.toArray(ValueLayout.JAVA_BYTE);
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) { // what a method handle declares
      throw new IllegalStateException("cuTensorMapEncodeTiled", e);
    }
  }
}
