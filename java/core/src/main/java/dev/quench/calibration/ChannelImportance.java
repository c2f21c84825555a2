package dev.quench.calibration;

import dev.quench.QuenchException;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.util.Arrays;

/**
 * How much the input channels of a linear matter: the mean square of each, relative to the mean of
 * all. Behaviour reference §1.7, {@code imatrix_mse}. The squares are the diagonal of xᵀx, of which
 * only blocks along it are computed.
 */
public final class ChannelImportance {
  private static final long BLOCK = 64;

  private final Device device;
  private final long features;
  private final Tensor squares;
  private long tokens;

  /**
   * @param features columns of the inputs
   * @param scope owns the sums
   */
  public ChannelImportance(Device device, long features, Scope scope) {
    this.device = device;
    this.features = features;
    this.squares = scope.zeros(DType.F32, features, Math.min(BLOCK, features));
  }

  /** Takes in the tokens x F32 [tokens, features]. */
  public void add(Tensor x) {
    tokens += x.rows();
    for (long from = 0; from < features; from += BLOCK) {
      long width = Math.min(BLOCK, features - from);
      device.syrk(x.columns(from, width), squares.slice(from, width, 0, width));
    }
  }

  /**
   * The importance of each channel, F32 [1, features]; the same of all if all inputs were 0. Waits
   * for the device.
   *
   * @param where names the module in messages
   * @throws QuenchException if an input isn't finite
   */
  public Tensor values(String where, Scope scope) {
    float[] importance = meanSquares();
    double sum = 0;
    for (float each : importance) {
      if (!Float.isFinite(each)) {
        throw new QuenchException(
            where
                + ": its input holds NaN or values whose squares are beyond float32, so imatrix_mse can't weigh its channels. Look for NaN or Inf in the weights of the layers before it, or use the observer mse.");
      }
      sum += each;
    }
    float mean = (float) (sum / importance.length);
    if (mean == 0) {
      Arrays.fill(importance, 1);
    } else {
      for (int i = 0; i < importance.length; i++) {
        importance[i] /= mean + Float.MIN_NORMAL;
      }
    }
    return scope.floats(importance);
  }

  private float[] meanSquares() {
    float[] means = new float[Math.toIntExact(features)];
    try (Scope work = device.openScope();
        Arena arena = Arena.ofConfined()) {
      for (long from = 0; from < features; from += BLOCK) {
        long width = Math.min(BLOCK, features - from);
        Tensor diagonal = work.allocate(DType.F32, 1, width);
        device.diagonal(squares.slice(from, width, 0, width), diagonal);
        HostTensor host = device.onHost(diagonal, Shape.of(1, width), arena);
        for (int i = 0; i < width; i++) {
          means[Math.toIntExact(from) + i] = host.floatAt(i) / tokens;
        }
      }
    }
    return means;
  }
}
