package dev.quench.bench;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.CodeFormat;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Dynamic;
import dev.quench.quantization.QuantizationArgs.Strategy;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.quantization.ScaleFormat;
import dev.quench.tensor.DType;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** Ranges, scales, codes and packing: {@code observe.cu, quantize.cu, nearest.cu, pack.cu}. */
final class CudaRounding {
  private CudaRounding() {}

  /** Floating-point operations of an element, roughly: they are no kernel's limit. */
  private static final double OBSERVE = 2;

  private static final double QUANTIZE = 5;
  private static final double DEQUANTIZE = 2;

  /** Groups of one row, or whole rows if {@code size} is 0. */
  static QuantizationArgs args(Type type, int bits, int size) {
    return new QuantizationArgs(
        bits,
        type,
        true,
        size == 0 ? Strategy.CHANNEL : Strategy.GROUP,
        size == 0 ? Optional.empty() : Optional.of(size),
        Optional.empty(),
        Dynamic.STATIC,
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Map.of());
  }

  static String name(DType dtype) {
    return dtype.name().toLowerCase(Locale.ROOT);
  }

  /** The weights' format of a preset. */
  static QuantizationArgs preset(String name) {
    return PresetSchemes.find(name).orElseThrow().weights().orElseThrow();
  }

  /** Scales of 8 bits have kernels of their own. */
  private static boolean isMicroscaling(QuantizationArgs args) {
    return args.scaleFormat() != ScaleFormat.NATIVE;
  }

  private static String name(QuantizationArgs args) {
    return switch (args.scaleFormat()) {
      case NATIVE -> args.type() == Type.INT ? "int" : "e4m3";
      case E4M3 -> "nvfp4";
      case E8M0 -> "mxfp" + args.numBits();
    };
  }

  /** Elements are random in [−1, 1). */
  private static float globalScale(QuantizationArgs args, DType dtype) {
    return args.scaleFormat() == ScaleFormat.E4M3 ? GlobalScale.of(1, dtype) : GlobalScale.NONE;
  }

  /** A weight, what it is rounded to, and the blocks of columns that share a scale. */
  private static final class Weight {
    final Tensor x;
    final Tensor scale;
    final Tensor zeroPoint;
    final Tensor codes;

    Weight(
        Device device,
        Scope scope,
        CudaSizes sizes,
        DType dtype,
        QuantizationArgs args,
        boolean packed) {
      Tensor random = Operands.random(scope, sizes.rows(), sizes.columns());
      x = scope.allocate(dtype, sizes.rows(), sizes.columns());
      device.convert(random, x);
      long groups = groups(sizes, args);
      scale = scope.zeros(args.scaleFormat().dtype(dtype), sizes.rows(), groups);
      zeroPoint = scope.zeros(DType.I8, sizes.rows(), groups);
      codes =
          packed
              ? packed(scope, sizes, args)
              : scope.zeros(args.codeFormat().dtype(), sizes.rows(), sizes.columns());
    }
  }

  private static Tensor packed(Scope scope, CudaSizes sizes, QuantizationArgs args) {
    DType dtype = args.codeFormat().packedDtype().orElseThrow();
    return scope.zeros(dtype, sizes.rows(), sizes.columns() * args.numBits() / dtype.bits());
  }

  private static long groups(CudaSizes sizes, QuantizationArgs args) {
    return Math.ceilDiv(sizes.columns(), args.blockColumns(sizes.columns()));
  }

  /** Bytes of a weight, its scales and zero points, and codes of so many bits. */
  private static double bytes(CudaSizes sizes, DType dtype, QuantizationArgs args, int bits) {
    double elements = (double) sizes.rows() * sizes.columns();
    double scales = (double) sizes.rows() * groups(sizes, args);
    int scaleBits = args.scaleFormat().dtype(dtype).bits();
    return elements * (dtype.bits() + bits) / 8 + scales * (scaleBits / 8 + 1);
  }

  /** Ranges of groups of 128 columns, or of whole rows. */
  static CudaOperation observe(DType dtype, boolean groups) {
    return new CudaOperation() {
      private long width(CudaSizes sizes) {
        return groups ? 128 : sizes.columns();
      }

      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.rows() * sizes.columns();
        long ranges = sizes.rows() * sizes.columns() / width(sizes);
        return List.of(
            KernelWork.streaming(
                "quench_observe_%s_%s".formatted(groups ? "groups" : "tiles", name(dtype)),
                elements,
                dtype.bytes(elements + 2 * ranges),
                OBSERVE * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor x = scope.zeros(dtype, sizes.rows(), sizes.columns());
        long ranges = sizes.columns() / width(sizes);
        Tensor min = scope.zeros(dtype, sizes.rows(), ranges);
        Tensor max = scope.zeros(dtype, sizes.rows(), ranges);
        return () -> device.observe(x, 1, width(sizes), min, max);
      }
    };
  }

  /** Scales of groups of 128 columns from their ranges. */
  static CudaOperation parameters(DType dtype) {
    QuantizationArgs args = args(Type.INT, 4, 128);
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.rows() * groups(sizes, args);
        return List.of(
            KernelWork.streaming(
                "quench_quantization_parameters_" + name(dtype),
                elements,
                3.0 * dtype.bytes(elements) + elements,
                4.0 * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor min = scope.zeros(dtype, sizes.rows(), groups(sizes, args));
        Tensor max = scope.zeros(dtype, sizes.rows(), groups(sizes, args));
        Tensor scale = scope.zeros(dtype, sizes.rows(), groups(sizes, args));
        Tensor zeroPoint = scope.zeros(DType.I8, sizes.rows(), groups(sizes, args));
        return () -> device.quantizationParameters(min, max, args, scale, zeroPoint);
      }
    };
  }

  /** Round to nearest in one read; int4 codes are packed. */
  static CudaOperation nearest(DType dtype, QuantizationArgs args) {
    boolean packed = args.numBits() < 8;
    float globalScale = globalScale(args, dtype);
    return new CudaOperation() {
      private String way() {
        return isMicroscaling(args) ? "" : args.groupSize().isPresent() ? "groups_" : "tiles_";
      }

      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.rows() * sizes.columns();
        return List.of(
            KernelWork.streaming(
                "quench_quantize_to_nearest_%s%s_%s".formatted(way(), name(dtype), name(args)),
                elements,
                bytes(sizes, dtype, args, args.numBits()),
                (OBSERVE + QUANTIZE) * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Weight w = new Weight(device, scope, sizes, dtype, args, packed);
        return () ->
            device.quantizeToNearest(w.x, args, globalScale, w.scale, w.zeroPoint, w.codes);
      }
    };
  }

  /**
   * Groups that lanes share, or that are no power of two, for which one kernel does all formats.
   */
  private static String suffix(QuantizationArgs args, String dtype, String dtypeAndFormat) {
    if (isMicroscaling(args)) {
      return dtypeAndFormat;
    }
    boolean shared = args.groupSize().map(size -> Integer.bitCount(size) == 1).orElse(true);
    return shared ? "groups_" + dtypeAndFormat : "elements_" + dtype;
  }

  /** Codes, one an element, under scales that are there. */
  static CudaOperation quantize(DType dtype, QuantizationArgs args) {
    float globalScale = globalScale(args, dtype);
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.rows() * sizes.columns();
        return List.of(
            KernelWork.streaming(
                "quench_quantize_" + suffix(args, name(dtype), name(dtype) + "_" + name(args)),
                elements,
                bytes(sizes, dtype, args, 8),
                QUANTIZE * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Weight w = new Weight(device, scope, sizes, dtype, args, false);
        device.quantizeToNearest(w.x, args, globalScale, w.scale, w.zeroPoint, w.codes);
        return () -> device.quantize(w.x, w.scale, w.zeroPoint, args, globalScale, w.codes);
      }
    };
  }

  /** Elements from codes. */
  static CudaOperation dequantize(DType dtype, QuantizationArgs args) {
    float globalScale = globalScale(args, dtype);
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.rows() * sizes.columns();
        return List.of(
            KernelWork.streaming(
                "quench_dequantize_" + suffix(args, name(dtype), name(args) + "_" + name(dtype)),
                elements,
                bytes(sizes, dtype, args, 8),
                DEQUANTIZE * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Weight w = new Weight(device, scope, sizes, dtype, args, false);
        device.quantizeToNearest(w.x, args, globalScale, w.scale, w.zeroPoint, w.codes);
        return () -> device.dequantize(w.codes, w.scale, w.zeroPoint, args, globalScale, w.x);
      }
    };
  }

  /** Codes of 4 bits into words, or out of them. */
  static CudaOperation pack(QuantizationArgs args, boolean unpack) {
    String codesName = args.codeFormat() == CodeFormat.INTEGER ? "i8" : "e2m1";
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.rows() * sizes.columns();
        return List.of(
            KernelWork.streaming(
                (unpack ? "quench_unpack_" : "quench_pack_") + codesName,
                elements,
                1.5 * elements,
                0));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor codes = scope.zeros(args.codeFormat().dtype(), sizes.rows(), sizes.columns());
        Tensor packed = packed(scope, sizes, args);
        return unpack ? () -> device.unpack(packed, 4, codes) : () -> device.pack(codes, 4, packed);
      }
    };
  }
}
