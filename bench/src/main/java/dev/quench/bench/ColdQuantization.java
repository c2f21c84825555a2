package dev.quench.bench;

import com.sun.management.OperatingSystemMXBean;
import dev.quench.device.CpuDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.BitPacking;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.util.SplittableRandom;

/**
 * How long does a fresh JVM take to round the 106 million weights of a small model (SmolLM2-135M)
 * to nearest, with its compilers still cold? Not a JMH class, since JMH warms the JVM up. Prints
 * the milliseconds of each of the 30 layers; passes over them may be repeated to see the warm
 * speed.
 *
 * <pre>
 * ./mvnw -q package dependency:build-classpath -pl bench -am -DskipTests \
 *     -Dmdep.outputFile=target/classpath
 * java --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
 *     -cp bench/target/classes:$(cat bench/target/classpath) \
 *     dev.quench.bench.ColdQuantization W4A16 2 1
 * </pre>
 */
public final class ColdQuantization {
  private static final int LAYERS = 30;
  private static final long[][] SHAPES = {
    {576, 576}, {192, 576}, {192, 576}, {576, 576}, {1536, 576}, {1536, 576}, {576, 1536}
  };

  private ColdQuantization() {}

  /**
   * @param arguments preset scheme, threads, passes
   */
  public static void main(String[] arguments) {
    QuantizationArgs args = PresetSchemes.find(arguments[0]).orElseThrow().weights().orElseThrow();
    int passes = Integer.parseInt(arguments[2]);
    try (CpuDevice device = new CpuDevice(Integer.parseInt(arguments[1]));
        Scope scope = device.openScope()) {
      Tensor[] weights = new Tensor[SHAPES.length];
      for (int i = 0; i < SHAPES.length; i++) {
        weights[i] = weight(scope, SHAPES[i][0], SHAPES[i][1]);
      }
      for (int pass = 0; pass < passes; pass++) {
        long begin = System.nanoTime();
        long beginBusy = busy();
        long[] layers = new long[LAYERS];
        for (int layer = 0; layer < LAYERS; layer++) {
          long start = System.nanoTime();
          for (Tensor weight : weights) {
            round(device, weight, args);
          }
          layers[layer] = System.nanoTime() - start;
        }
        long end = System.nanoTime();
        long endBusy = busy();
        StringBuilder curve = new StringBuilder();
        for (long layer : layers) {
          curve.append(" %.1f".formatted(layer * 1e-6));
        }
        System.out.printf(
            "%s pass %d: %.0f ms, %.0f ms of processor time:%s%n",
            arguments[0], pass, (end - begin) * 1e-6, (endBusy - beginBusy) * 1e-6, curve);
      }
    }
  }

  /** Nanoseconds that all threads have run, the compilers' among them. */
  private static long busy() {
    return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getProcessCpuTime();
  }

  private static void round(CpuDevice device, Tensor weight, QuantizationArgs args) {
    long rows = weight.rows();
    long columns = weight.columns();
    long blockRows = Math.ceilDiv(rows, args.blockRows(rows));
    long blockColumns = Math.ceilDiv(columns, args.blockColumns(columns));
    try (Scope scope = device.openScope()) {
      Tensor scale = scope.allocate(weight.dtype(), blockRows, blockColumns);
      Tensor zeroPoint = scope.allocate(DType.I8, blockRows, blockColumns);
      Tensor codes =
          args.type() == QuantizationArgs.Type.FLOAT
              ? scope.allocate(DType.F8_E4M3, rows, columns)
              : args.numBits() == 8
                  ? scope.allocate(DType.I8, rows, columns)
                  : scope.allocate(DType.I32, rows, BitPacking.words(columns, args.numBits()));
      device.quantizeToNearest(weight, args, scale, zeroPoint, codes);
    }
  }

  private static Tensor weight(Scope scope, long rows, long columns) {
    SplittableRandom random = new SplittableRandom(rows + columns);
    MemorySegment memory = Arena.ofAuto().allocate(DType.BF16.bytes(rows * columns), 64);
    for (long i = 0; i < rows * columns; i++) {
      float value = (float) random.nextGaussian() * 0.05f;
      memory.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
    }
    return scope.upload(new HostTensor(DType.BF16, Shape.of(rows, columns), memory));
  }
}
