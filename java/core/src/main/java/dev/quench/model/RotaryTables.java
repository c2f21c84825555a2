package dev.quench.model;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Cosines and sines of all rotary angles, shared by all layers: F32 [positions, rotary / 2]. The
 * angle is position · frequency rounded to float32, as in the reference implementation.
 */
public record RotaryTables(Tensor cos, Tensor sin) {

  /** Tables for positions 0 … positions−1, in the memory of {@code scope}. */
  public static RotaryTables of(
      RopeSpec rope, int headDim, long positions, Compute compute, Scope scope) {
    Device device = compute.device();
    float[] frequencies = rope.frequencies(headDim);
    Tensor cos = scope.allocate(DType.F32, positions, frequencies.length);
    Tensor sin = scope.allocate(DType.F32, positions, frequencies.length);
    try (Arena arena = Arena.ofConfined();
        Scope staging = device.openScope()) {
      long elements = positions * frequencies.length;
      MemorySegment cosines = arena.allocate(elements * Float.BYTES, 64);
      MemorySegment sines = arena.allocate(elements * Float.BYTES, 64);
      for (long p = 0; p < positions; p++) {
        for (int i = 0; i < frequencies.length; i++) {
          float angle = frequencies[i] * p;
          cosines.setAtIndex(
              ValueLayout.JAVA_FLOAT, p * frequencies.length + i, (float) Math.cos(angle));
          sines.setAtIndex(
              ValueLayout.JAVA_FLOAT, p * frequencies.length + i, (float) Math.sin(angle));
        }
      }
      Shape shape = Shape.of(positions, frequencies.length);
      device.convert(staging.upload(new HostTensor(DType.F32, shape, cosines)), cos);
      device.convert(staging.upload(new HostTensor(DType.F32, shape, sines)), sin);
      compute.settle(cos);
      compute.settle(sin);
      device.synchronize();
    }
    return new RotaryTables(cos, sin);
  }
}
