package dev.quench.pipeline;

import dev.quench.device.Device;
import dev.quench.model.Architecture;
import dev.quench.model.LinearSpec;

/** What the work on one layer takes at its peak, besides the activations of all tokens. */
final class WorkingMemory {
  /** Rows of logits that are in memory at a time. */
  static final long LOGIT_ROWS = 256;

  /** Share of a device's memory that is planned with: blocks of many sizes leave gaps. */
  private static final double PLANNED = 0.9;

  private WorkingMemory() {}

  /**
   * One layer as F32, its largest Hessian with its factor, what the solver works on, and a batch's
   * intermediate tensors. A device with memory of its own holds what is read ahead of the next
   * layer too.
   */
  static long ofLayer(Architecture architecture, long batchTokens, boolean ownMemory) {
    long layer = 0;
    long widest = 0;
    long largest = 0;
    for (LinearSpec linear : architecture.layer(0).linears()) {
      layer += linear.outFeatures() * linear.inFeatures();
      widest = Math.max(widest, linear.inFeatures());
      largest = Math.max(largest, linear.outFeatures() * linear.inFeatures());
    }
    long hessians = 2 * widest * widest * Float.BYTES;
    long solver = 4 * largest * Float.BYTES;
    long batch =
        batchTokens
            * (2L * architecture.hiddenSize() + 2L * architecture.intermediateSize())
            * Float.BYTES;
    long ahead = ownMemory ? layer * Float.BYTES : 0;
    return layer * Float.BYTES + ahead + hessians + solver + batch;
  }

  /** The output projection, as it is stored and as F32, and some logits. */
  static long ofHead(Architecture architecture) {
    LinearSpec head = architecture.head();
    return head.outFeatures() * (2 * head.inFeatures() + LOGIT_ROWS) * Float.BYTES;
  }

  /** Bytes of activations that a device's own memory has room for; 0 if it has none. */
  static long roomForActivations(Device device, long working) {
    return device.memoryLimit().isEmpty()
        ? 0
        : Math.max(0, (long) (PLANNED * device.memoryLimit().getAsLong()) - working);
  }
}
