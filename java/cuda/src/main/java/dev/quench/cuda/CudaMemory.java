package dev.quench.cuda;

import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.JCudaDriver;

/**
 * Memory of the device, and the ways between it and the host. Blocks are handed out in the order of
 * the computing stream: what was asked for with the memory's last owner is done before what is
 * asked for with the next one.
 */
final class CudaMemory implements AutoCloseable {
  /** A device address that JCuda takes. */
  private static final class Address extends CUdeviceptr {
    Address() {}

    private Address(CUdeviceptr zero, long address) {
      super(zero, address);
    }

    long value() {
      return getNativePointer();
    }
  }

  private static final CUdeviceptr ZERO = new CUdeviceptr();

  private final CudaContext context;
  private final DevicePool pool;

  /**
   * @param limit bytes of device memory that may be taken
   */
  CudaMemory(CudaContext context, long limit) {
    this.context = context;
    this.pool = new DevicePool(new Driver(), limit);
  }

  private final class Driver implements DevicePool.Backing {
    @Override
    public long allocate(long bytes) {
      Address address = new Address();
      int status = JCudaDriver.cuMemAlloc(address, bytes);
      if (status == Status.OUT_OF_MEMORY) {
        return 0;
      }
      context.check(status, () -> "cuMemAlloc of " + bytes + " bytes");
      return address.value();
    }

    @Override
    public void free(long address) {
      context.check(JCudaDriver.cuMemFree(pointer(address)), "cuMemFree");
    }
  }

  /** The address as JCuda takes it. */
  static CUdeviceptr pointer(long address) {
    return new Address(ZERO, address);
  }

  /** A new owner of tensors, for temporaries of an operation too. */
  CudaScope openScope() {
    return new CudaScope(this);
  }

  /**
   * @param what the memory is for, for the message
   * @throws CudaException if there is no room
   */
  DevicePool.Block take(long bytes, String what) {
    context.enter();
    DevicePool.Block block = pool.take(bytes);
    if (block == null) {
      throw new CudaException(
          "out of GPU memory: %,d bytes for %s don't fit; %,d of %,d bytes are in use"
              .formatted(bytes, what, pool.used(), pool.limit()));
    }
    return block;
  }

  void give(DevicePool.Block block) {
    pool.give(block, 0);
  }

  void fillZero(CudaMatrix matrix) {
    long bytes = matrix.dtype().bytes(Math.multiplyExact(matrix.rows(), matrix.columns()));
    if (bytes > 0) {
      context.enter();
      context.check(
          JCudaDriver.cuMemsetD8Async(
              pointer(matrix.address()), (byte) 0, bytes, context.compute()),
          () -> "cuMemsetD8Async of " + matrix);
    }
  }

  /** Copies host memory to a dense matrix. */
  void upload(MemorySegment source, CudaMatrix target) {
    if (source.byteSize() == 0) {
      return;
    }
    context.enter();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment copy = arena.allocate(source.byteSize(), 64).copyFrom(source);
      context.check(
          JCudaDriver.cuMemcpyHtoDAsync(
              pointer(target.address()),
              Pointer.to(copy.asByteBuffer()),
              copy.byteSize(),
              context.compute()),
          () -> "upload of " + target);
      context.check(JCudaDriver.cuStreamSynchronize(context.compute()), "cuStreamSynchronize");
    }
  }

  /** Copies a matrix, row by row, to dense host memory. */
  void download(CudaMatrix source, HostTensor target) {
    if (source.dtype() != target.dtype()
        || source.rows() * source.columns() != target.shape().elements()) {
      throw new IllegalArgumentException(
          "download of " + source + " to " + target.dtype() + " " + target.shape());
    }
    DType dtype = source.dtype();
    long rowBytes = dtype.bytes(source.columns());
    context.enter();
    for (long row = 0; row < source.rows() && rowBytes > 0; row++) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment copy = arena.allocate(rowBytes, 64);
        context.check(
            JCudaDriver.cuMemcpyDtoHAsync(
                Pointer.to(copy.asByteBuffer()),
                pointer(source.address() + dtype.bytes(row * source.stride())),
                rowBytes,
                context.compute()),
            () -> "download of " + source);
        context.check(JCudaDriver.cuStreamSynchronize(context.compute()), "cuStreamSynchronize");
        MemorySegment.copy(copy, 0, target.data(), row * rowBytes, rowBytes);
      }
    }
  }

  @Override
  public void close() {
    context.enter();
    pool.close();
  }
}
