package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.calibration.Batch;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.model.Architecture;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;

/**
 * How far a model's outputs are from those of another.
 *
 * @param logitsError Σ (L − L₀)² / Σ L₀² over all logits
 * @param klDivergence mean over tokens of KL(p₀ ‖ p), in nats
 * @param topAgreement share of tokens whose most likely successor is the same
 * @param layerErrors Σ (h − h₀)² / Σ h₀² of the residual stream after each layer
 * @param tokens tokens compared
 */
public record Comparison(
    double logitsError,
    double klDivergence,
    double topAgreement,
    List<Double> layerErrors,
    long tokens) {
  public Comparison {
    layerErrors = List.copyOf(layerErrors);
  }

  /**
   * Runs both models in lockstep over the same tokens, with inputs quantized where they say so.
   *
   * @param other of the same architecture
   */
  public static Comparison of(
      Device device,
      LoadedModel base,
      LoadedModel other,
      List<Batch> batches,
      Resources resources,
      LayerListener listener,
      Cancellation cancellation) {
    Architecture architecture = base.architecture();
    try (ActivationStore baseStore = open(device, architecture, batches, resources);
        ActivationStore otherStore = open(device, architecture, batches, resources);
        ForwardPass basePass =
            new ForwardPass(base.compute(device), architecture, base.weights(device), baseStore);
        ForwardPass otherPass =
            new ForwardPass(
                other.compute(device), architecture, other.weights(device), otherStore)) {
      basePass.embed();
      otherPass.embed();
      List<Double> layerErrors = new ArrayList<>();
      for (int i = 0; i < architecture.layers(); i++) {
        cancellation.throwIfRequested();
        basePass.layer(i);
        otherPass.layer(i);
        layerErrors.add(relativeError(baseStore, otherStore));
        listener.layerDone(i, architecture.layers());
      }
      Totals totals = compareLogits(device, baseStore, otherStore, basePass, otherPass);
      return new Comparison(
          totals.squaredError / totals.squaredBase,
          totals.kl / totals.tokens,
          (double) totals.agreeing / totals.tokens,
          layerErrors,
          totals.tokens);
    }
  }

  private static ActivationStore open(
      Device device, Architecture architecture, List<Batch> batches, Resources resources) {
    return ActivationStore.open(
        device,
        architecture,
        batches,
        ActivationStore.Side.TRANSIENT,
        resources,
        ActivationStore.roomOnDevice(device, architecture, batches, 2));
  }

  private static double relativeError(ActivationStore base, ActivationStore other) {
    double error = 0;
    double norm = 0;
    for (int b = 0; b < base.batches(); b++) {
      MemorySegment x0 = base.hidden(b).data();
      MemorySegment x = other.hidden(b).data();
      for (long i = 0; i < x0.byteSize() / Float.BYTES; i++) {
        double reference = x0.getAtIndex(ValueLayout.JAVA_FLOAT, i);
        double difference = x.getAtIndex(ValueLayout.JAVA_FLOAT, i) - reference;
        error += difference * difference;
        norm += reference * reference;
      }
    }
    return error / norm;
  }

  /** Sums over tokens. */
  private static final class Totals {
    double squaredError;
    double squaredBase;
    double kl;
    long agreeing;
    long tokens;

    void add(Totals other) {
      squaredError += other.squaredError;
      squaredBase += other.squaredBase;
      kl += other.kl;
      agreeing += other.agreeing;
      tokens += other.tokens;
    }
  }

  private static Totals compareLogits(
      Device device,
      ActivationStore baseStore,
      ActivationStore otherStore,
      ForwardPass basePass,
      ForwardPass otherPass) {
    Totals totals = new Totals();
    try (ForwardPass.Head baseHead = basePass.head();
        ForwardPass.Head otherHead = otherPass.head()) {
      for (int b = 0; b < baseStore.batches(); b++) {
        try (ActivationStore.Visit baseVisit = baseStore.visit(b);
            ActivationStore.Visit otherVisit = otherStore.visit(b)) {
          long tokens = baseVisit.tokens().tokens();
          for (long from = 0; from < tokens; from += WorkingMemory.LOGIT_ROWS) {
            long rows = Math.min(WorkingMemory.LOGIT_ROWS, tokens - from);
            try (Arena arena = Arena.ofShared()) {
              MemorySegment l0 =
                  logits(device, baseHead, baseVisit.tokens().hidden().rows(from, rows), arena);
              MemorySegment l =
                  logits(device, otherHead, otherVisit.tokens().hidden().rows(from, rows), arena);
              long width = l0.byteSize() / Float.BYTES / rows;
              LongStream.range(0, rows)
                  .parallel()
                  .mapToObj(r -> compareToken(l0, l, r * width, width))
                  .toList()
                  .forEach(totals::add);
            }
          }
        }
      }
    }
    return totals;
  }

  private static MemorySegment logits(
      Device device, ForwardPass.Head head, Tensor hidden, Arena arena) {
    try (Scope work = device.openScope()) {
      Tensor logits = head.logits(hidden, work);
      MemorySegment memory = arena.allocate(logits.rows() * logits.columns() * Float.BYTES, 64);
      device.download(
          logits, new HostTensor(DType.F32, Shape.of(logits.rows(), logits.columns()), memory));
      return memory;
    }
  }

  private static Totals compareToken(
      MemorySegment base, MemorySegment other, long start, long width) {
    Totals totals = new Totals();
    int top0 = 0;
    int top = 0;
    float max0 = Float.NEGATIVE_INFINITY;
    float max = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < width; i++) {
      float l0 = base.getAtIndex(ValueLayout.JAVA_FLOAT, start + i);
      float l = other.getAtIndex(ValueLayout.JAVA_FLOAT, start + i);
      double difference = (double) l - l0;
      totals.squaredError += difference * difference;
      totals.squaredBase += (double) l0 * l0;
      if (l0 > max0) {
        max0 = l0;
        top0 = i;
      }
      if (l > max) {
        max = l;
        top = i;
      }
    }
    double sum0 = 0;
    double sum = 0;
    double weighted = 0;
    for (int i = 0; i < width; i++) {
      double d0 = base.getAtIndex(ValueLayout.JAVA_FLOAT, start + i) - (double) max0;
      double d = other.getAtIndex(ValueLayout.JAVA_FLOAT, start + i) - (double) max;
      double e0 = Math.exp(d0);
      sum0 += e0;
      sum += Math.exp(d);
      weighted += e0 * (d0 - d);
    }
    totals.kl = weighted / sum0 - Math.log(sum0) + Math.log(sum);
    totals.agreeing = top == top0 ? 1 : 0;
    totals.tokens = 1;
    return totals;
  }
}
