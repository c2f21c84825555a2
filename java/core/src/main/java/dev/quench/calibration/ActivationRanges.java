package dev.quench.calibration;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.ActivationObserver;
import dev.quench.quantization.ActivationObserver.End;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationParameters;
import dev.quench.quantization.RangeSearch;
import dev.quench.quantization.Rounding;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * The ranges that the scales of activations are made for. The device keeps the range of every
 * calibration row; they are joined at the end, as {@link ActivationObserver} says, so that nothing
 * waits for the device in between.
 */
public final class ActivationRanges {
  private final Device device;
  private final QuantizationArgs args;
  private final ActivationObserver observer;
  private final DType dtype;
  private final long rangeColumns;
  private final Tensor min;
  private final Tensor max;
  private long rows;

  /**
   * @param columns of the activations
   * @param rangeColumns that share a range
   * @param dtype in which scales are computed: that of the model's weights
   * @param rows how many calibration rows there will be
   * @param scope owns the ranges
   */
  public ActivationRanges(
      Device device,
      QuantizationArgs args,
      long columns,
      long rangeColumns,
      DType dtype,
      long rows,
      Scope scope) {
    this.device = device;
    this.args = args;
    this.observer = ActivationObserver.of(args);
    this.rangeColumns = rangeColumns;
    this.dtype = dtype;
    long ranges = Math.ceilDiv(columns, rangeColumns);
    DType observed = observer.search().isPresent() ? dtype : DType.F32;
    this.min = scope.allocate(observed, rows, ranges);
    this.max = scope.allocate(observed, rows, ranges);
  }

  /**
   * @param x F32 [tokens, columns] of the next calibration rows
   * @param starts first token of each row, then the number of tokens
   */
  public void add(Tensor x, long[] starts) {
    for (int i = 0; i + 1 < starts.length; i++) {
      long tokens = starts[i + 1] - starts[i];
      Tensor row = x.rows(starts[i], tokens);
      Tensor low = min.rows(rows, 1);
      Tensor high = max.rows(rows, 1);
      if (observer.search().isPresent()) {
        search(row, observer.search().get(), low, high);
      } else {
        device.observe(row, tokens, rangeColumns, low, high);
      }
      rows++;
    }
  }

  /** Errors are those of the model's dtype, in which they are also found sooner. */
  private void search(Tensor row, RangeSearch search, Tensor low, Tensor high) {
    QuantizationArgs blocks =
        ActivationObserver.overTokens(
            args, Math.toIntExact(row.rows()), Math.toIntExact(rangeColumns));
    try (Scope work = device.openScope()) {
      Tensor rounded = work.allocate(dtype, row.rows(), row.columns());
      device.convert(row, rounded);
      device.searchRange(rounded, blocks, search, low, high);
    }
  }

  /** Scale and zero point of each range. Waits for the device. */
  public List<QuantizationParameters> parameters() {
    float[] low = joined(min, End.MIN);
    float[] high = joined(max, End.MAX);
    List<QuantizationParameters> parameters = new ArrayList<>();
    for (int i = 0; i < low.length; i++) {
      parameters.add(QuantizationParameters.of(low[i], high[i], args, GlobalScale.NONE, dtype));
    }
    return List.copyOf(parameters);
  }

  /** The global scale for all ranges. Waits for the device. */
  public float globalScale() {
    float magnitude = 0;
    for (float end : joined(min, End.MIN)) {
      magnitude = Math.max(magnitude, -end);
    }
    for (float end : joined(max, End.MAX)) {
      magnitude = Math.max(magnitude, end);
    }
    return GlobalScale.of(magnitude, dtype);
  }

  private float[] joined(Tensor ends, End end) {
    try (Arena arena = Arena.ofConfined()) {
      HostTensor host = device.onHost(ends, Shape.of(ends.rows(), ends.columns()), arena);
      float[] joined = new float[Math.toIntExact(ends.columns())];
      for (long row = 0; row < rows; row++) {
        for (int i = 0; i < joined.length; i++) {
          float next = Rounding.to(dtype, host.floatAt(row * joined.length + i));
          joined[i] = row == 0 ? next : observer.join(joined[i], next, end, dtype);
        }
      }
      return joined;
    }
  }
}
