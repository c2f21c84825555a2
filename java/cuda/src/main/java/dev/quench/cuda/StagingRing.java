package dev.quench.cuda;

import java.lang.foreign.MemorySegment;
import jcuda.Pointer;
import jcuda.driver.CUevent;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/**
 * Page-locked host buffers that copies go through, one after the other: only from such memory does
 * the device copy by itself while the host goes on. For one thread and one stream.
 */
final class StagingRing implements AutoCloseable {
  /** A buffer, and the copy that it was last used for. */
  static final class Slot {
    private final Pointer pointer;
    private final MemorySegment memory;
    private final CUevent copied;

    private Slot(Pointer pointer, MemorySegment memory, CUevent copied) {
      this.pointer = pointer;
      this.memory = memory;
      this.copied = copied;
    }

    Pointer pointer() {
      return pointer;
    }

    MemorySegment memory() {
      return memory;
    }
  }

  private final CudaContext context;
  private final CUstream stream;
  private final long slotBytes;
  private final @Nullable Slot[] slots;
  private int next;

  StagingRing(CudaContext context, CUstream stream, int slots, long slotBytes) {
    this.context = context;
    this.stream = stream;
    this.slotBytes = slotBytes;
    this.slots = new Slot[slots];
  }

  CUstream stream() {
    return stream;
  }

  long slotBytes() {
    return slotBytes;
  }

  /** The next buffer, once the copy that it was last used for is done. */
  Slot take() {
    int index = next;
    next = (next + 1) % slots.length;
    Slot slot = slots[index];
    if (slot == null) {
      slot = allocate();
      slots[index] = slot;
    } else {
      await(slot);
    }
    return slot;
  }

  /** To be called when a copy from or to the buffer was asked for. */
  void submitted(Slot slot) {
    context.check(JCudaDriver.cuEventRecord(slot.copied, stream), "cuEventRecord");
  }

  /** Waits for the copy. */
  void await(Slot slot) {
    context.check(JCudaDriver.cuEventSynchronize(slot.copied), "cuEventSynchronize");
  }

  private Slot allocate() {
    Pointer pointer = new Pointer();
    context.check(
        JCudaDriver.cuMemHostAlloc(pointer, slotBytes, 0),
        () -> "cuMemHostAlloc of " + slotBytes + " bytes of page-locked memory");
    return new Slot(
        pointer,
        MemorySegment.ofBuffer(pointer.getByteBuffer(0, slotBytes)),
        Timeline.event(context));
  }

  /** No copy may be under way. */
  @Override
  public void close() {
    for (Slot slot : slots) {
      if (slot != null) {
        JCudaDriver.cuEventDestroy(slot.copied);
        JCudaDriver.cuMemFreeHost(slot.pointer);
      }
    }
  }
}
