package dev.quench.model;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * How a runtime quantizes some activations: the input of a linear, or the queries, keys or values
 * of attention.
 *
 * @param scales of ranges that are known beforehand: one for all columns, or one a head; none if
 *     each row, or each group of one, has the range that it has
 * @param zeroPoints as many
 * @param globalScale that the scales of groups are to be divided by; 1 if there is none
 */
public record ActivationQuantization(
    QuantizationArgs args, List<Float> scales, List<Byte> zeroPoints, float globalScale) {

  /**
   * @throws IllegalArgumentException if the scales aren't what {@code args} needs
   */
  public ActivationQuantization {
    scales = List.copyOf(scales);
    zeroPoints = List.copyOf(zeroPoints);
    boolean known = args.dynamic() == Dynamic.STATIC;
    if (known == scales.isEmpty() || scales.size() != zeroPoints.size()) {
      throw new IllegalArgumentException(
          scales.size() + " scales, dynamic " + args.dynamic() + " of " + args.strategy());
    }
    if (!known && args.blockRows(Long.MAX_VALUE) != 1) {
      throw new IllegalArgumentException(args.strategy() + " isn't row by row");
    }
  }

  /** By the range that each row, or group of a row, has. */
  public static ActivationQuantization ofRows(QuantizationArgs args) {
    return new ActivationQuantization(args, List.of(), List.of(), GlobalScale.NONE);
  }

  /** The values that the codes of x stand for: F32, of x's shape. */
  Tensor apply(Device device, Tensor x, Scope scope) {
    Tensor result = scope.allocate(DType.F32, x.rows(), x.columns());
    try (Scope work = device.openScope()) {
      Tensor codes = work.allocate(args.codeFormat().dtype(), x.rows(), x.columns());
      if (scales.isEmpty()) {
        byRows(device, x, codes, result, work);
      } else {
        byKnownRanges(device, x, codes, result, work);
      }
    }
    return result;
  }

  private void byRows(Device device, Tensor x, Tensor codes, Tensor result, Scope work) {
    long groups = Math.ceilDiv(x.columns(), args.blockColumns(x.columns()));
    Tensor scale = work.allocate(args.scaleFormat().dtype(DType.F32), x.rows(), groups);
    Tensor zeroPoint = work.allocate(DType.I8, x.rows(), groups);
    device.quantizeToNearest(x, args, globalScale, scale, zeroPoint, codes);
    device.dequantize(codes, scale, zeroPoint, args, globalScale, result);
  }

  private void byKnownRanges(Device device, Tensor x, Tensor codes, Tensor result, Scope work) {
    long width = x.columns() / scales.size();
    for (int i = 0; i < scales.size(); i++) {
      Tensor scale = work.floats(scales.get(i));
      Tensor zeroPoint = zeroPoint(device, zeroPoints.get(i), work);
      Tensor part = codes.columns(i * width, width);
      device.quantize(x.columns(i * width, width), scale, zeroPoint, args, part);
      device.dequantize(part, scale, zeroPoint, args, result.columns(i * width, width));
    }
  }

  private static Tensor zeroPoint(Device device, byte value, Scope work) {
    if (value == 0) {
      return work.zeros(DType.I8, 1, 1);
    }
    try (Arena arena = Arena.ofConfined()) {
      HostTensor host = new HostTensor(DType.I8, Shape.of(1, 1), arena.allocate(1));
      host.data().set(ValueLayout.JAVA_BYTE, 0, value);
      Tensor copy = work.allocate(DType.I8, 1, 1);
      try (Scope upload = device.openScope()) {
        device.convert(upload.upload(host), copy);
        device.synchronize();
      }
      return copy;
    }
  }
}
