package dev.quench.examples;

import dev.quench.cuda.CudaDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.HexFormat;

/**
 * Packs a tensor to NVFP4 on the GPU: codes of four bits, an E4M3 scale for every 16 of them, and a
 * factor for all scales.
 */
public final class PackNvfp4 {
  private static final long GPU_MEMORY = 1L << 30;

  private PackNvfp4() {}

  /** Packs 2 x 32 numbers, and prints what they became. */
  public static void main(String[] arguments) {
    try (Arena arena = Arena.ofConfined()) {
      float[] numbers = new float[2 * 32];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = (float) Math.sin(i);
      }
      var memory = arena.allocateFrom(ValueLayout.JAVA_FLOAT, numbers);
      pack(new HostTensor(DType.F32, Shape.of(2, 32), memory));
    }
  }

  private static void pack(HostTensor weight) {
    long rows = weight.rows();
    long columns = weight.columns();
    QuantizationArgs nvfp4 = PresetSchemes.find("NVFP4A16").orElseThrow().weights().orElseThrow();
    try (CudaDevice device = CudaDevice.open(GPU_MEMORY);
        Scope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      Tensor x = scope.upload(weight);
      Tensor min = scope.allocate(weight.dtype(), 1, 1);
      Tensor max = scope.allocate(weight.dtype(), 1, 1);
      device.observe(x, rows, columns, min, max);
      Shape one = Shape.of(1, 1);
      float least = device.onHost(min, one, arena).floatAt(0);
      float most = device.onHost(max, one, arena).floatAt(0);
      float globalScale = GlobalScale.of(Math.max(-least, most), weight.dtype());

      Tensor scale = scope.allocate(DType.F8_E4M3, rows, columns / 16);
      Tensor zeroPoint = scope.allocate(DType.I8, rows, columns / 16);
      Tensor codes = scope.allocate(DType.U8, rows, columns / 2);
      device.quantizeToNearest(x, nvfp4, globalScale, scale, zeroPoint, codes);

      print("weight_packed", device.onHost(codes, Shape.of(rows, columns / 2), arena));
      print("weight_scale", device.onHost(scale, Shape.of(rows, columns / 16), arena));
      System.out.println("weight_global_scale " + globalScale);
    }
  }

  private static void print(String name, HostTensor tensor) {
    byte[] bytes = tensor.data().toArray(ValueLayout.JAVA_BYTE);
    System.out.println(name + " " + HexFormat.of().formatHex(bytes));
  }
}
