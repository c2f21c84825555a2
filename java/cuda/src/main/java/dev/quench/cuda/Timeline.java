package dev.quench.cuda;

import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * Marks in the computing stream, for which another stream can wait. Marks are numbered from 1;
 * their events are used again after a while, so that waiting for an old mark may wait for a younger
 * one, which is never too little.
 */
final class Timeline implements AutoCloseable {
  private static final int EVENTS = 256;

  private final CudaContext context;
  private final CUevent[] events = new CUevent[EVENTS];
  private long last;

  Timeline(CudaContext context) {
    this.context = context;
    for (int i = 0; i < EVENTS; i++) {
      events[i] = event(context);
    }
  }

  /** An event that orders streams and measures nothing. */
  static CUevent event(CudaContext context) {
    CUevent event = new CUevent();
    context.check(
        JCudaDriver.cuEventCreate(event, CUevent_flags.CU_EVENT_DISABLE_TIMING), "cuEventCreate");
    return event;
  }

  /** Marks what was asked for so far. */
  synchronized long mark() {
    last++;
    context.check(
        JCudaDriver.cuEventRecord(events[index(last)], context.compute()), "cuEventRecord");
    return last;
  }

  /** Makes a stream wait for what a mark marks; 0 is before everything. */
  synchronized void await(long mark, CUstream stream) {
    if (mark > 0) {
      context.check(
          JCudaDriver.cuStreamWaitEvent(stream, events[index(mark)], 0), "cuStreamWaitEvent");
    }
  }

  private static int index(long mark) {
    return (int) (mark % EVENTS);
  }

  @Override
  public void close() {
    for (CUevent event : events) {
      JCudaDriver.cuEventDestroy(event);
    }
  }
}
