package dev.quench.cuda;

import dev.quench.device.Tensor;
import dev.quench.quantization.BitPacking;
import dev.quench.quantization.CodeFormat;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.quantization.ScaleFormat;
import dev.quench.tensor.DType;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Ranges, codes and packing on the CUDA device: which kernel takes which shape. Groups of 32 to
 * 1024 columns, whole rows and blocks that fit into a block of threads are read once; other shapes
 * have kernels that do anything, element by element.
 */
final class CudaQuantization {
  private final Kernels kernels;
  private final CudaMemory memory;

  CudaQuantization(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
    this.memory = memory;
  }

  void observe(Tensor x, long blockRows, long blockColumns, Tensor min, Tensor max) {
    CudaMatrix from = requireFloat(CudaMatrix.of(x));
    ScaleBlocks blocks = ScaleBlocks.of(from, blockRows, blockColumns);
    observe(
        from,
        blocks,
        blocks.require(CudaMatrix.of(min)).require(from.dtype()),
        blocks.require(CudaMatrix.of(max)).require(from.dtype()));
  }

  private void observe(CudaMatrix x, ScaleBlocks blocks, CudaMatrix min, CudaMatrix max) {
    OptionalInt lanesLog = blocks.groupLanesLog();
    if (lanesLog.isPresent()) {
      kernels.launch(
          "quench_observe_groups_" + suffix(x),
          blocks.warps(),
          matrix(x).matrix(min).matrix(max).ints(lanesLog.getAsInt(), blocks.warpsLog()));
    } else if (blocks.pieces() == 1) {
      observeTiles(x, blocks, min, max);
    } else {
      observePieces(x, blocks, min, max);
    }
  }

  private void observeTiles(CudaMatrix x, ScaleBlocks blocks, CudaMatrix min, CudaMatrix max) {
    kernels.launch(
        "quench_observe_tiles_" + suffix(x),
        blocks.pieceTiles(),
        matrix(x)
            .longs(blocks.blockRows())
            .ints(blocks.blockColumns(), blocks.pieceRows())
            .matrix(min)
            .matrix(max));
  }

  /** Few large blocks: the ranges of their pieces, then the range of those. */
  private void observePieces(CudaMatrix x, ScaleBlocks blocks, CudaMatrix min, CudaMatrix max) {
    long pieces = blocks.gridColumns() * (long) blocks.pieces();
    try (CudaScope scope = memory.openScope()) {
      CudaMatrix mins = scope.allocate(x.dtype(), blocks.gridRows(), pieces);
      CudaMatrix maxs = scope.allocate(x.dtype(), blocks.gridRows(), pieces);
      CudaMatrix unused = scope.allocate(x.dtype(), blocks.gridRows(), blocks.gridColumns());
      observeTiles(x, blocks, mins, maxs);
      ScaleBlocks ofPieces = ScaleBlocks.of(mins, 1, blocks.pieces());
      observe(mins, ofPieces, min, unused);
      observe(maxs, ofPieces, unused, max);
    }
  }

  void quantizationParameters(
      Tensor min,
      Tensor max,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint) {
    CudaMatrix mins = requireFloat(CudaMatrix.of(min));
    long rows = mins.rows();
    long columns = mins.columns();
    CudaMatrix scales = CudaMatrix.of(scale).require(scaleDtype(args, mins));
    kernels.launch(
        "quench_quantization_parameters_" + suffix(mins),
        Grid.over(rows * columns, 256, 256),
        new Arguments()
            .matrix(mins)
            .matrix(CudaMatrix.of(max).require(mins.dtype()).require(rows, columns))
            .longs(rows)
            .ints(Math.toIntExact(columns))
            .floats(args.minCode(), args.maxCode())
            .ints(args.symmetric() ? 1 : 0, scaleNumber(scales.dtype()))
            .floats(globalScale)
            .matrix(scales.require(rows, columns))
            .matrix(CudaMatrix.of(zeroPoint).require(DType.I8).require(rows, columns)));
  }

  void quantize(
      Tensor x,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor codes) {
    CudaMatrix from = requireFloat(CudaMatrix.of(x));
    ScaleBlocks blocks = ScaleBlocks.of(from, args);
    CudaMatrix scales = blocks.require(CudaMatrix.of(scale)).require(scaleDtype(args, from));
    CudaMatrix zeroPoints = blocks.require(CudaMatrix.of(zeroPoint)).require(DType.I8);
    CudaCodes to = CudaCodes.of(from, args, CudaMatrix.of(codes));
    Optional<String> micro = microscaling(args, globalScale);
    if (micro.isPresent()) {
      kernels.launch(
          "quench_quantize_%s_%s".formatted(suffix(from), micro.get()),
          blocks.warps(),
          to.addByteCodes(matrix(from).floats(globalScale).matrix(scales).matrix(zeroPoints))
              .ints(blocks.warpsLog()));
      return;
    }
    OptionalInt shift = blocks.blockShift();
    if (shift.isPresent() && isPlain(args, globalScale)) {
      Arguments arguments =
          matrix(from)
              .matrix(scales)
              .matrix(zeroPoints)
              .ints(blocks.blockRows(), shift.getAsInt())
              .floats(args.minCode(), args.maxCode());
      kernels.launch(
          "quench_quantize_groups_%s_%s".formatted(suffix(from), suffix(args)),
          blocks.warps(),
          to.add(arguments).ints(ScaleBlocks.lanesLog(shift.getAsInt()), blocks.warpsLog()));
      return;
    }
    Arguments arguments =
        scales(matrix(from), scales, globalScale)
            .matrix(zeroPoints)
            .ints(blocks.blockRows(), blocks.blockColumns())
            .floats(args.minCode(), args.maxCode());
    kernels.launch(
        "quench_quantize_elements_" + suffix(from),
        blocks.warps(),
        to.addAny(arguments).ints(blocks.warpsLog()));
  }

  void quantizeToNearest(
      Tensor x,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint,
      Tensor codes) {
    CudaMatrix from = requireFloat(CudaMatrix.of(x));
    ScaleBlocks blocks = ScaleBlocks.of(from, args);
    CudaMatrix scales = blocks.require(CudaMatrix.of(scale)).require(scaleDtype(args, from));
    CudaMatrix zeroPoints = blocks.require(CudaMatrix.of(zeroPoint)).require(DType.I8);
    CudaCodes to = CudaCodes.of(from, args, CudaMatrix.of(codes));
    Optional<String> micro = microscaling(args, globalScale);
    OptionalInt lanesLog = blocks.groupLanesLog();
    if (micro.isPresent()) {
      kernels.launch(
          "quench_quantize_to_nearest_%s_%s".formatted(suffix(from), micro.get()),
          blocks.warps(),
          to.addByteCodes(matrix(from).floats(globalScale).matrix(scales).matrix(zeroPoints))
              .ints(blocks.warpsLog()));
    } else if (isPlain(args, globalScale) && lanesLog.isPresent()) {
      kernels.launch(
          "quench_quantize_to_nearest_groups_%s_%s".formatted(suffix(from), suffix(args)),
          blocks.warps(),
          addResults(matrix(from), args, scales, zeroPoints, to)
              .ints(lanesLog.getAsInt(), blocks.warpsLog()));
    } else if (isPlain(args, globalScale) && blocks.fitsTile(from.dtype())) {
      kernels.launch(
          "quench_quantize_to_nearest_tiles_%s_%s".formatted(suffix(from), suffix(args)),
          blocks.tiles(),
          addResults(
              matrix(from).ints(blocks.blockRows(), blocks.blockColumns()),
              args,
              scales,
              zeroPoints,
              to));
    } else {
      inSteps(from, blocks, args, globalScale, scales, zeroPoints, codes);
    }
  }

  private static Arguments addResults(
      Arguments arguments,
      QuantizationArgs args,
      CudaMatrix scales,
      CudaMatrix zeroPoints,
      CudaCodes codes) {
    return codes.add(
        arguments
            .floats(args.minCode(), args.maxCode())
            .ints(args.symmetric() ? 1 : 0)
            .matrix(scales)
            .matrix(zeroPoints));
  }

  /** Blocks that no kernel holds while it finds their scale: x is read twice. */
  private void inSteps(
      CudaMatrix x,
      ScaleBlocks blocks,
      QuantizationArgs args,
      float globalScale,
      CudaMatrix scale,
      CudaMatrix zeroPoint,
      Tensor codes) {
    try (CudaScope scope = memory.openScope()) {
      CudaMatrix min = scope.allocate(x.dtype(), scale.rows(), scale.columns());
      CudaMatrix max = scope.allocate(x.dtype(), scale.rows(), scale.columns());
      observe(x, blocks, min, max);
      quantizationParameters(min, max, args, globalScale, scale, zeroPoint);
      quantize(x, scale, zeroPoint, args, globalScale, codes);
    }
  }

  void dequantize(
      Tensor codes,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor x) {
    CudaMatrix to = requireFloat(CudaMatrix.of(x));
    CudaMatrix from = CudaMatrix.of(codes).require(args.codeFormat().dtype());
    from.require(to.rows(), to.columns());
    ScaleBlocks blocks = ScaleBlocks.of(to, args);
    CudaMatrix scales = blocks.require(CudaMatrix.of(scale));
    CudaMatrix zeroPoints = blocks.require(CudaMatrix.of(zeroPoint)).require(DType.I8);
    Optional<String> micro = microscaling(args, globalScale);
    if (micro.isPresent() && scales.dtype() == args.scaleFormat().dtype(to.dtype())) {
      kernels.launch(
          "quench_dequantize_%s_%s".formatted(micro.get(), suffix(to)),
          blocks.warps(),
          matrix(from)
              .floats(globalScale)
              .matrix(scales)
              .matrix(zeroPoints)
              .matrix(to)
              .ints(blocks.warpsLog()));
      return;
    }
    OptionalInt shift = blocks.blockShift();
    if (shift.isPresent() && isPlain(args, globalScale) && scales.dtype().bits() > 8) {
      kernels.launch(
          "quench_dequantize_groups_%s_%s".formatted(suffix(args), suffix(to)),
          blocks.warps(),
          matrix(from)
              .ints(number(scales.dtype()))
              .matrix(scales)
              .matrix(zeroPoints)
              .ints(blocks.blockRows(), shift.getAsInt())
              .matrix(to)
              .ints(ScaleBlocks.lanesLog(shift.getAsInt()), blocks.warpsLog()));
      return;
    }
    kernels.launch(
        "quench_dequantize_elements_" + suffix(to),
        blocks.warps(),
        scales(matrix(from).ints(CudaCodes.number(args.codeFormat())), scales, globalScale)
            .matrix(zeroPoints)
            .ints(blocks.blockRows(), blocks.blockColumns())
            .matrix(to)
            .ints(blocks.warpsLog()));
  }

  void pack(Tensor codes, int bits, Tensor packed) {
    CudaMatrix from = CudaMatrix.of(codes).require(DType.I8);
    CudaMatrix to = requirePacked(CudaMatrix.of(packed), from, bits);
    ScaleBlocks rows = ScaleBlocks.rowsOf(from);
    boolean integers = to.dtype() == DType.I32;
    Arguments arguments = matrix(from);
    if (integers) {
      arguments.ints(bits);
    }
    kernels.launch(
        integers ? "quench_pack_i8" : "quench_pack_e2m1",
        rows.warps(),
        arguments.matrix(to).ints(rows.warpsLog()));
  }

  void unpack(Tensor packed, int bits, Tensor codes) {
    CudaMatrix to = CudaMatrix.of(codes).require(DType.I8);
    CudaMatrix from = requirePacked(CudaMatrix.of(packed), to, bits);
    ScaleBlocks rows = ScaleBlocks.rowsOf(to);
    boolean integers = from.dtype() == DType.I32;
    Arguments arguments =
        new Arguments().matrix(from).longs(to.rows()).ints(Math.toIntExact(to.columns()));
    if (integers) {
      arguments.ints(bits);
    }
    kernels.launch(
        integers ? "quench_unpack_i8" : "quench_unpack_e2m1",
        rows.warps(),
        arguments.matrix(to).ints(rows.warpsLog()));
  }

  private static CudaMatrix requirePacked(CudaMatrix packed, CudaMatrix codes, int bits) {
    if (bits < 1 || bits > 8) {
      throw new IllegalArgumentException("codes of " + bits + " bits");
    }
    return packed.dtype() == DType.U8 && bits == 4
        ? packed.require(codes.rows(), Math.ceilDiv(codes.columns(), 2))
        : packed.require(DType.I32).require(codes.rows(), BitPacking.words(codes.columns(), bits));
  }

  /** Codes and scales that the fast kernels for any shape take. */
  private static boolean isPlain(QuantizationArgs args, float globalScale) {
    return args.scaleFormat() == ScaleFormat.NATIVE
        && args.codeFormat() != CodeFormat.E2M1
        && globalScale == GlobalScale.NONE;
  }

  /** The name of the format, if it is one that has kernels of its own. */
  private static Optional<String> microscaling(QuantizationArgs args, float globalScale) {
    boolean groups = args.blockRows(2) == 1 && args.groupSize().isPresent();
    if (!groups || args.type() == Type.INT) {
      return Optional.empty();
    }
    int size = args.groupSize().get();
    boolean isE2m1 = args.codeFormat() == CodeFormat.E2M1;
    return switch (args.scaleFormat()) {
      case E4M3 -> isE2m1 && size == 16 ? Optional.of("nvfp4") : Optional.empty();
      case E8M0 ->
          size == 32 && globalScale == GlobalScale.NONE
              ? Optional.of(isE2m1 ? "mxfp4" : "mxfp8")
              : Optional.empty();
      case NATIVE -> Optional.empty();
    };
  }

  /** The dtype of scales of x. */
  private static DType scaleDtype(QuantizationArgs args, CudaMatrix x) {
    DType dtype = args.scaleFormat().dtype(x.dtype());
    if (!args.symmetric() && dtype != x.dtype()) {
      throw new IllegalArgumentException("asymmetric codes with scales in " + dtype);
    }
    return dtype;
  }

  /** Scales of any dtype: which one, the global scale, the matrix. */
  private static Arguments scales(Arguments arguments, CudaMatrix scales, float globalScale) {
    return arguments.ints(scaleNumber(scales.dtype())).floats(globalScale).matrix(scales);
  }

  /** The number by which kernels know a dtype of scales: ScaleDtype of kernels/scales.cuh. */
  private static int scaleNumber(DType dtype) {
    return switch (dtype) {
      case F8_E4M3 -> 3;
      case F8_E8M0 -> 4;
      default -> number(dtype);
    };
  }

  /** The matrix, its rows and its columns. */
  private static Arguments matrix(CudaMatrix x) {
    return new Arguments().matrix(x).longs(x.rows()).ints(Math.toIntExact(x.columns()));
  }

  /** The number by which kernels know a dtype that is chosen when they run. */
  static int number(DType dtype) {
    return switch (dtype) {
      case F32 -> 0;
      case F16 -> 1;
      case BF16 -> 2;
      default -> throw new IllegalArgumentException("no arithmetic in " + dtype);
    };
  }

  private static CudaMatrix requireFloat(CudaMatrix matrix) {
    number(matrix.dtype());
    return matrix;
  }

  private static String suffix(CudaMatrix matrix) {
    return matrix.dtype().name().toLowerCase(Locale.ROOT);
  }

  private static String suffix(QuantizationArgs args) {
    return args.type() == Type.INT ? "int" : "e4m3";
  }
}
