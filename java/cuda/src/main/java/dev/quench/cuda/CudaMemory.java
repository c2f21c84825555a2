package dev.quench.cuda;

import dev.quench.tensor.HostTensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import jcuda.driver.CUDA_MEMCPY2D;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUmemorytype;
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

  /** Larger uploads go on beside the computation. */
  private static final long LARGE = DevicePool.SMALL;

  private static final int SLOTS = 2;
  private static final long SLOT_BYTES = 8 << 20;

  private final CudaContext context;
  private final Timeline timeline;
  private final Uploads uploads;
  private final DevicePool pool;
  private final StagingRing uploadRing;
  private final StagingRing downloadRing;

  /**
   * @param limit bytes of device memory that may be taken
   */
  CudaMemory(CudaContext context, Timeline timeline, Uploads uploads, long limit) {
    this.context = context;
    this.timeline = timeline;
    this.uploads = uploads;
    this.pool = new DevicePool(new Driver(), limit);
    this.uploadRing = new StagingRing(context, context.compute(), SLOTS, LARGE);
    this.downloadRing = new StagingRing(context, context.compute(), SLOTS, SLOT_BYTES);
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
      // After a kernel's failure it fails too, and the memory goes with the context.
      JCudaDriver.cuMemFree(pointer(address));
    }
  }

  /** The address as JCuda takes it. */
  static CUdeviceptr pointer(long address) {
    return new Address(ZERO, address);
  }

  /** Bytes that may be taken. */
  long limit() {
    return pool.limit();
  }

  /** Gives what nobody uses back to the driver; returns the bytes that are still taken. */
  long release() {
    context.enter();
    pool.release();
    return pool.reserved();
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
    return pool.take(bytes)
        .orElseThrow(
            () ->
                new CudaException(
                    "out of GPU memory: %,d bytes for %s don't fit; %,d of %,d bytes are in use"
                        .formatted(bytes, what, pool.used(), pool.limit())));
  }

  /** Takes blocks back that nothing asked for from now on will use. */
  void give(List<DevicePool.Block> blocks) {
    if (blocks.isEmpty()) {
      return;
    }
    context.enter();
    blocks.forEach(block -> uploads.await(block.address()));
    boolean large = blocks.stream().anyMatch(block -> block.bytes() > LARGE);
    long mark = large ? timeline.mark() : 0;
    blocks.forEach(block -> pool.give(block, mark));
  }

  /** Fills a dense matrix with zeros. */
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

  /**
   * Copies host memory to a dense matrix, which was just taken.
   *
   * @param source stays as it is until the matrix is given back
   */
  void upload(MemorySegment source, CudaMatrix target, DevicePool.Block block) {
    context.enter();
    if (source.byteSize() > LARGE && Uploads.canRead(source)) {
      uploads.start(source, target, block.lastUse());
    } else {
      Uploads.copy(context, uploadRing, source, target);
    }
  }

  /** Copies a matrix, row by row, to dense host memory. */
  void download(CudaMatrix source, HostTensor target) {
    if (source.dtype() != target.dtype()
        || source.rows() * source.columns() != target.shape().elements()) {
      throw new IllegalArgumentException(
          "download of " + source + " to " + target.dtype() + " " + target.shape());
    }
    context.enter();
    uploads.await(source.address());
    long rowBytes = source.dtype().bytes(source.columns());
    Download download = new Download(target.data());
    if (rowBytes == 0) {
      return;
    } else if (source.isDense()) {
      download.dense(source, source.address(), 0, rowBytes * source.rows());
    } else if (rowBytes > downloadRing.slotBytes()) {
      for (long row = 0; row < source.rows(); row++) {
        download.dense(source, source.rows(row, 1).address(), row * rowBytes, rowBytes);
      }
    } else {
      download.rows(source, rowBytes);
    }
    download.finish();
    context.launches().clear();
  }

  /** Copies that follow each other; while one is under way, the one before it leaves its buffer. */
  private final class Download {
    private record Chunk(StagingRing.Slot slot, long at, long bytes) {}

    private final MemorySegment target;
    private final Deque<Chunk> underway = new ArrayDeque<>();

    Download(MemorySegment target) {
      this.target = target;
    }

    void dense(CudaMatrix source, long address, long at, long bytes) {
      for (long from = 0; from < bytes; from += downloadRing.slotBytes()) {
        long count = Math.min(downloadRing.slotBytes(), bytes - from);
        StagingRing.Slot slot = next();
        context.check(
            JCudaDriver.cuMemcpyDtoHAsync(
                slot.pointer(), pointer(address + from), count, context.compute()),
            () -> "download of " + source);
        submitted(slot, at + from, count);
      }
    }

    /** Rows of a view, as many at a time as a buffer holds. */
    void rows(CudaMatrix source, long rowBytes) {
      long most = downloadRing.slotBytes() / rowBytes;
      for (long row = 0; row < source.rows(); row += most) {
        CudaMatrix part = source.rows(row, Math.min(most, source.rows() - row));
        StagingRing.Slot slot = next();
        CUDA_MEMCPY2D copy = new CUDA_MEMCPY2D();
        copy.srcMemoryType = CUmemorytype.CU_MEMORYTYPE_DEVICE;
        copy.srcDevice = pointer(part.address());
        copy.srcPitch = part.dtype().bytes(part.stride());
        copy.dstMemoryType = CUmemorytype.CU_MEMORYTYPE_HOST;
        copy.dstHost = slot.pointer();
        copy.dstPitch = rowBytes;
        copy.WidthInBytes = rowBytes;
        copy.Height = part.rows();
        context.check(
            JCudaDriver.cuMemcpy2DAsync(copy, context.compute()), () -> "download of " + source);
        submitted(slot, row * rowBytes, part.rows() * rowBytes);
      }
    }

    private StagingRing.Slot next() {
      if (underway.size() == SLOTS) {
        arrive();
      }
      return downloadRing.take();
    }

    private void submitted(StagingRing.Slot slot, long at, long bytes) {
      downloadRing.submitted(slot);
      underway.addLast(new Chunk(slot, at, bytes));
    }

    private void arrive() {
      Chunk chunk = underway.removeFirst();
      downloadRing.await(chunk.slot);
      MemorySegment.copy(chunk.slot.memory(), 0, target, chunk.at, chunk.bytes);
    }

    void finish() {
      while (!underway.isEmpty()) {
        arrive();
      }
    }
  }

  @Override
  public void close() {
    context.enter();
    uploadRing.close();
    downloadRing.close();
    pool.close();
  }
}
