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
import java.util.List;

/**
 * How well a model predicts a text: exp of the mean negative log-likelihood of each token given
 * those before it in its row.
 *
 * @param negativeLogLikelihood summed over the predicted tokens, in nats
 * @param predicted tokens that were predicted: all but the first of each row
 */
public record Perplexity(double negativeLogLikelihood, long predicted) {
  public double value() {
    return Math.exp(negativeLogLikelihood / predicted);
  }

  /**
   * Runs a model over token rows, layer by layer, with its inputs quantized where it says so.
   *
   * @param resources memory limit and spill folder for the activations
   */
  public static Perplexity of(
      Device device,
      LoadedModel model,
      List<Batch> batches,
      Resources resources,
      LayerListener listener,
      Cancellation cancellation) {
    Architecture architecture = model.architecture();
    try (ActivationStore store =
            ActivationStore.open(
                device, architecture, batches, ActivationStore.Side.TRANSIENT, resources);
        ForwardPass forward =
            new ForwardPass(model.compute(device), architecture, model.weights(device), store)) {
      forward.embed();
      for (int i = 0; i < architecture.layers(); i++) {
        cancellation.throwIfRequested();
        forward.layer(i);
        listener.layerDone(i, architecture.layers());
      }
      return predict(device, store, forward);
    }
  }

  private static Perplexity predict(Device device, ActivationStore store, ForwardPass forward) {
    double sum = 0;
    long predicted = 0;
    try (ForwardPass.Head head = forward.head();
        Arena arena = Arena.ofConfined()) {
      MemorySegment scores = arena.allocate(WorkingMemory.LOGIT_ROWS * Float.BYTES, 64);
      for (int b = 0; b < store.batches(); b++) {
        Batch batch = store.batch(b);
        try (ActivationStore.Visit visit = store.visit(b)) {
          long tokens = visit.tokens().tokens();
          for (long from = 0; from < tokens; from += WorkingMemory.LOGIT_ROWS) {
            long rows = Math.min(WorkingMemory.LOGIT_ROWS, tokens - from);
            int[] targets = targets(batch, from, rows);
            try (Scope work = device.openScope()) {
              Tensor logits = head.logits(visit.tokens().hidden().rows(from, rows), work);
              Tensor score = work.allocate(DType.F32, 1, rows);
              device.logProbability(logits, work.ints(targets), score);
              device.download(
                  score,
                  new HostTensor(
                      DType.F32, Shape.of(1, rows), scores.asSlice(0, rows * Float.BYTES)));
            }
            for (int r = 0; r < rows; r++) {
              if (!isLastOfRow(batch, from + r)) {
                sum -= scores.getAtIndex(ValueLayout.JAVA_FLOAT, r);
                predicted++;
              }
            }
          }
        }
      }
    }
    return new Perplexity(sum, predicted);
  }

  /** The token after each; 0 after the last of a row, where it isn't used. */
  private static int[] targets(Batch batch, long from, long rows) {
    int[] targets = new int[(int) rows];
    for (int r = 0; r < rows; r++) {
      int token = (int) from + r;
      targets[r] = isLastOfRow(batch, token) ? 0 : batch.ids()[token + 1];
    }
    return targets;
  }

  private static boolean isLastOfRow(Batch batch, long token) {
    return token + 1 == batch.ids().length || batch.positions()[(int) token + 1] == 0;
  }
}
