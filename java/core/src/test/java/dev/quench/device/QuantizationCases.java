package dev.quench.device;

import static dev.quench.device.Operand.floats;
import static dev.quench.device.Operand.output;
import static dev.quench.tensor.DType.BF16;
import static dev.quench.tensor.DType.F16;
import static dev.quench.tensor.DType.F32;
import static dev.quench.tensor.DType.F8_E4M3;
import static dev.quench.tensor.DType.I32;
import static dev.quench.tensor.DType.I8;
import static dev.quench.tensor.DType.U8;

import dev.quench.device.Operand.Kind;
import dev.quench.quantization.BitPacking;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgsReader;
import dev.quench.quantization.ScaleFormat;
import dev.quench.tensor.DType;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * Comparisons of the quantizing operations with the reference, for a format, a shape and values.
 */
final class QuantizationCases {
  private static final List<DType> FLOATS = List.of(F32, BF16, F16);

  static final QuantizationArgs NVFP4 =
      args(
          "type", "float",
          "num_bits", 4,
          "strategy", "tensor_group",
          "group_size", 16,
          "scale_dtype", "float8_e4m3fn");

  static final QuantizationArgs MXFP4 =
      args("type", "float", "num_bits", 4, "group_size", 32, "scale_dtype", "uint8");

  static final QuantizationArgs MXFP8 =
      args("type", "float", "group_size", 32, "scale_dtype", "uint8");

  private QuantizationCases() {}

  static QuantizationArgs args(Object... fields) {
    Map<String, Object> map = new HashMap<>();
    for (int i = 0; i < fields.length; i += 2) {
      map.put((String) fields[i], fields[i + 1]);
    }
    return QuantizationArgsReader.read(new HashMap<>(map), "test");
  }

  static String describe(QuantizationArgs args, Object... more) {
    return "%s%d %s %s %s"
        .formatted(
            args.type(),
            args.numBits(),
            args.symmetric() ? "symmetric" : "asymmetric",
            args.strategy(),
            Arrays.toString(more));
  }

  static int gridRows(QuantizationArgs args, int[] shape) {
    return Math.toIntExact(Math.ceilDiv((long) shape[0], args.blockRows(shape[0])));
  }

  static int gridColumns(QuantizationArgs args, int[] shape) {
    return Math.toIntExact(Math.ceilDiv((long) shape[1], args.blockColumns(shape[1])));
  }

  static DType codeDtype(QuantizationArgs args) {
    return args.codeFormat().dtype();
  }

  /** One that weights have, rounded to bfloat16. */
  static float globalScale(QuantizationArgs args) {
    return args.scaleFormat() == ScaleFormat.E4M3 ? 1704 : GlobalScale.NONE;
  }

  private static Optional<Operand> packedOutput(QuantizationArgs args, int[] shape) {
    return args.codeFormat()
        .packedDtype()
        .map(
            dtype ->
                output(dtype, shape[0], Math.ceilDiv(shape[1] * args.numBits(), dtype.bits())));
  }

  /** Random zero points, or codes, of the format. */
  static Operand zeroPoints(QuantizationArgs args, int rows, int columns) {
    Operand random = Operand.bytes(I8, rows, columns, 5);
    byte[] inRange = random.content().clone();
    for (int i = 0; i < inRange.length; i++) {
      inRange[i] = (byte) (inRange[i] >> (8 - args.numBits()));
    }
    return new Operand(I8, rows, columns, inRange, false);
  }

  /** Powers of two, so that ties stay ties; the scales of common weights; anything. */
  private static List<Operand> scales(
      QuantizationArgs args, DType values, int rows, int columns, Kind kind) {
    SplittableRandom random = new SplittableRandom(7);
    DType dtype = args.scaleFormat().dtype(values);
    boolean anything = kind == Kind.BITS || kind == Kind.MIXED;
    if (dtype == DType.F8_E8M0) {
      return List.of(
          anything
              ? Operand.bytes(dtype, rows, columns, 7)
              : floats(dtype, rows, columns, i -> Math.scalb(1.0, -random.nextInt(0, 9))));
    }
    if (dtype == F8_E4M3) {
      // With the global scale of a tensor whose largest element is 2688 / 1704.
      return List.of(
          anything
              ? Operand.bytes(dtype, rows, columns, 7)
              : floats(dtype, rows, columns, i -> random.nextDouble(4, 448)));
    }
    return switch (kind) {
      case TIES ->
          List.of(floats(dtype, rows, columns, i -> Math.scalb(1.0, -random.nextInt(0, 9))));
      case PLAIN -> List.of(floats(dtype, rows, columns, i -> random.nextDouble(0.003, 0.3)));
      case MIXED -> {
        Operand bits = floats(dtype, rows, columns, Kind.BITS, 8);
        yield List.of(
            floats(
                dtype,
                rows,
                columns,
                i ->
                    random.nextInt(8) == 0
                        ? bits.get(i / columns, i % columns)
                        : random.nextDouble(0.003, 0.3)));
      }
      case ZEROS -> List.of(floats(dtype, rows, columns, i -> random.nextInt(2) * 0x1p-12));
      case BITS ->
          List.of(
              floats(dtype, rows, columns, i -> random.nextDouble(0.003, 0.3)),
              floats(dtype, rows, columns, Kind.BITS, 8));
    };
  }

  static void observe(Parity parity, int[] block, DType dtype, int[] shape, Kind kind) {
    int rows = Math.ceilDiv(shape[0], block[0]);
    int columns = Math.ceilDiv(shape[1], block[1]);
    parity.exact(
        "%s %s".formatted(kind, Arrays.toString(block)),
        (d, t) -> d.observe(t[0], block[0], block[1], t[1], t[2]),
        floats(dtype, shape[0], shape[1], kind, shape[1]),
        output(dtype, rows, columns),
        output(dtype, rows, columns));
  }

  static void quantize(Parity parity, QuantizationArgs args, DType dtype, int[] shape, Kind kind) {
    int rows = gridRows(args, shape);
    int columns = gridColumns(args, shape);
    Operand x = floats(dtype, shape[0], shape[1], kind, 1);
    Operand zeroPoints =
        args.symmetric()
            ? new Operand(I8, rows, columns, new byte[rows * columns], false)
            : zeroPoints(args, rows, columns);
    for (Operand scales : scales(args, dtype, rows, columns, kind)) {
      Parity.Operation operation =
          (d, t) -> d.quantize(t[0], t[1], t[2], args, globalScale(args), t[3]);
      parity.exact(
          describe(args, kind),
          operation,
          x,
          scales,
          zeroPoints,
          output(codeDtype(args), shape[0], shape[1]));
      packedOutput(args, shape)
          .filter(packed -> kind != Kind.ZEROS)
          .ifPresent(
              packed ->
                  parity.exact(
                      describe(args, kind, "packed"), operation, x, scales, zeroPoints, packed));
    }
  }

  static void quantizeToNearest(
      Parity parity, QuantizationArgs args, DType dtype, int[] shape, Kind kind) {
    Operand x = floats(dtype, shape[0], shape[1], kind, 1);
    Operand scales =
        output(args.scaleFormat().dtype(dtype), gridRows(args, shape), gridColumns(args, shape));
    Operand zeroPoints = output(I8, gridRows(args, shape), gridColumns(args, shape));
    Parity.Operation operation =
        (d, t) -> d.quantizeToNearest(t[0], args, globalScale(args), t[1], t[2], t[3]);
    parity.exact(
        describe(args, kind),
        operation,
        x,
        scales,
        zeroPoints,
        output(codeDtype(args), shape[0], shape[1]));
    packedOutput(args, shape)
        .filter(packed -> kind != Kind.ZEROS)
        .ifPresent(
            packed ->
                parity.exact(
                    describe(args, kind, "packed"), operation, x, scales, zeroPoints, packed));
  }

  static void dequantize(
      Parity parity, QuantizationArgs args, DType dtype, int[] shape, Kind kind) {
    int rows = gridRows(args, shape);
    int columns = gridColumns(args, shape);
    DType scaleDtype =
        args.scaleFormat().dtype(FLOATS.get((shape[1] + dtype.bits()) % FLOATS.size()));
    parity.exact(
        describe(args, kind, scaleDtype),
        (d, t) -> d.dequantize(t[0], t[1], t[2], args, globalScale(args), t[3]),
        Operand.bytes(codeDtype(args), shape[0], shape[1], 1),
        scaleDtype.bits() == 8
            ? Operand.bytes(scaleDtype, rows, columns, 2)
            : floats(scaleDtype, rows, columns, kind, 2),
        zeroPoints(args, rows, columns),
        output(dtype, shape[0], shape[1]));
  }

  static void pack(Parity parity, int bits, int[] shape) {
    parity.exact(
        bits + " bits",
        (d, t) -> d.pack(t[0], bits, t[1]),
        zeroPoints(args("num_bits", bits), shape[0], shape[1]),
        output(I32, shape[0], (int) BitPacking.words(shape[1], bits)));
  }

  static void unpack(Parity parity, int bits, int[] shape) {
    parity.exact(
        bits + " bits",
        (d, t) -> d.unpack(t[0], bits, t[1]),
        Operand.bytes(I32, shape[0], (int) BitPacking.words(shape[1], bits), bits),
        output(I8, shape[0], shape[1]));
  }

  static void packE2m1(Parity parity, int[] shape) {
    byte[] codes = Operand.bytes(I8, shape[0], shape[1], 9).content().clone();
    for (int i = 0; i < codes.length; i++) {
      codes[i] &= 0xF;
    }
    parity.exact(
        "E2M1",
        (d, t) -> d.pack(t[0], 4, t[1]),
        new Operand(I8, shape[0], shape[1], codes, false),
        output(U8, shape[0], Math.ceilDiv(shape[1], 2)));
  }

  static void unpackE2m1(Parity parity, int[] shape) {
    parity.exact(
        "E2M1",
        (d, t) -> d.unpack(t[0], 4, t[1]),
        Operand.bytes(U8, shape[0], Math.ceilDiv(shape[1], 2), 4),
        output(I8, shape[0], shape[1]));
  }
}
