package dev.quench.cuda;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import jcuda.driver.CUevent;
import jcuda.driver.JCudaDriver;

/**
 * Large uploads that go on beside the computation: a thread moves host memory to page-locked
 * buffers (which may read it from disk first), and the copying stream moves these to the device.
 * The computing stream waits for an upload where its target is first used, so what is asked for
 * early is there when it is needed.
 */
final class Uploads implements AutoCloseable {
  private static final int SLOTS = 3;
  private static final long SLOT_BYTES = 8 << 20;

  /** An upload that the computing stream doesn't wait for yet. */
  private record Pending(CudaMatrix target, long bytes, Future<?> staged, CUevent arrived) {
    boolean covers(long address) {
      return address >= target.address() && address < target.address() + bytes;
    }
  }

  /** Owns no memory: what it may read, every thread may. */
  private static final Thread ANY = Thread.ofPlatform().unstarted(() -> {});

  private final CudaContext context;
  private final Timeline timeline;
  private final StagingRing ring;
  private final List<Pending> pending = new ArrayList<>();
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().name("quench-upload").daemon().factory());

  Uploads(CudaContext context, Timeline timeline) {
    this.context = context;
    this.timeline = timeline;
    this.ring = new StagingRing(context, context.copies(), SLOTS, SLOT_BYTES);
  }

  /** Whether the memory isn't confined to a thread of the caller's. */
  static boolean canRead(MemorySegment source) {
    return source.isAccessibleBy(ANY);
  }

  /**
   * Starts one. The source must stay as it is until the target was waited for.
   *
   * @param target dense
   * @param lastUse mark of the last use of the target's memory by its owner before
   */
  void start(MemorySegment source, CudaMatrix target, long lastUse) {
    CUevent arrived = Timeline.event(context);
    Future<?> staged = thread.submit(() -> run(source, target, lastUse, arrived));
    pending.add(new Pending(target, source.byteSize(), staged, arrived));
  }

  private void run(MemorySegment source, CudaMatrix target, long lastUse, CUevent arrived) {
    context.enter();
    timeline.await(lastUse, context.copies());
    copy(context, ring, source, target);
    context.check(JCudaDriver.cuEventRecord(arrived, context.copies()), "cuEventRecord");
  }

  /** Copies host memory to a dense matrix, through a ring and in the ring's stream. */
  static void copy(CudaContext context, StagingRing ring, MemorySegment source, CudaMatrix target) {
    for (long from = 0; from < source.byteSize(); from += ring.slotBytes()) {
      long bytes = Math.min(ring.slotBytes(), source.byteSize() - from);
      StagingRing.Slot slot = ring.take();
      MemorySegment.copy(source, from, slot.memory(), 0, bytes);
      context.check(
          JCudaDriver.cuMemcpyHtoDAsync(
              CudaMemory.pointer(target.address() + from), slot.pointer(), bytes, ring.stream()),
          () -> "upload of " + target);
      ring.submitted(slot);
    }
  }

  /** Makes the computing stream wait for the upload that an address belongs to, if there is one. */
  void await(long address) {
    if (pending.isEmpty()) {
      return;
    }
    for (Iterator<Pending> each = pending.iterator(); each.hasNext(); ) {
      Pending upload = each.next();
      if (upload.covers(address)) {
        each.remove();
        await(upload);
        return;
      }
    }
  }

  void awaitAll() {
    while (!pending.isEmpty()) {
      await(pending.removeFirst());
    }
  }

  private void await(Pending upload) {
    try {
      upload.staged.get();
      context.check(
          JCudaDriver.cuStreamWaitEvent(context.compute(), upload.arrived, 0), "cuStreamWaitEvent");
    } catch (ExecutionException e) {
      throw failure(upload, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CudaException("interrupted during the upload of " + upload.target, e);
    } finally {
      // The driver frees it when those who wait for it are through.
      JCudaDriver.cuEventDestroy(upload.arrived);
    }
  }

  private static RuntimeException failure(Pending upload, ExecutionException e) {
    return switch (e.getCause()) {
      case Error error -> throw error;
      case RuntimeException cause -> cause;
      case null, default -> new CudaException("upload of " + upload.target + " failed", e);
    };
  }

  /** Waits for the thread, whatever became of its uploads. */
  @Override
  public void close() {
    thread.close();
    JCudaDriver.cuStreamSynchronize(context.copies());
    pending.forEach(upload -> JCudaDriver.cuEventDestroy(upload.arrived));
    pending.clear();
    ring.close();
  }
}
