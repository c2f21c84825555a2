package dev.quench.cuda;

import dev.quench.device.Tensor;
import dev.quench.quantization.BitPacking;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.tensor.DType;
import java.util.Locale;
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
      Tensor min, Tensor max, QuantizationArgs args, Tensor scale, Tensor zeroPoint) {
    CudaMatrix mins = requireFloat(CudaMatrix.of(min));
    long rows = mins.rows();
    long columns = mins.columns();
    kernels.launch(
        "quench_quantization_parameters_" + suffix(mins),
        Grid.over(rows * columns, 256, 256),
        new Arguments()
            .matrix(mins)
            .matrix(CudaMatrix.of(max).require(mins.dtype()).require(rows, columns))
            .longs(rows)
            .ints(Math.toIntExact(columns))
            .floats(args.minCode(), args.maxCode())
            .ints(args.symmetric() ? 1 : 0)
            .matrix(CudaMatrix.of(scale).require(mins.dtype()).require(rows, columns))
            .matrix(CudaMatrix.of(zeroPoint).require(DType.I8).require(rows, columns)));
  }

  void quantize(Tensor x, Tensor scale, Tensor zeroPoint, QuantizationArgs args, Tensor codes) {
    CudaMatrix from = requireFloat(CudaMatrix.of(x));
    ScaleBlocks blocks = ScaleBlocks.of(from, args);
    OptionalInt shift = blocks.blockShift();
    Arguments arguments =
        matrix(from)
            .matrix(blocks.require(CudaMatrix.of(scale)).require(from.dtype()))
            .matrix(blocks.require(CudaMatrix.of(zeroPoint)).require(DType.I8))
            .ints(blocks.blockRows(), shift.orElse(blocks.blockColumns()))
            .floats(args.minCode(), args.maxCode());
    addCodes(arguments, from, args, CudaMatrix.of(codes));
    shift.ifPresent(value -> arguments.ints(ScaleBlocks.lanesLog(value)));
    kernels.launch(
        "quench_quantize_%s_%s_%s"
            .formatted(shift.isPresent() ? "groups" : "elements", suffix(from), suffix(args)),
        blocks.warps(),
        arguments.ints(blocks.warpsLog()));
  }

  void quantizeToNearest(
      Tensor x, QuantizationArgs args, Tensor scale, Tensor zeroPoint, Tensor codes) {
    CudaMatrix from = requireFloat(CudaMatrix.of(x));
    ScaleBlocks blocks = ScaleBlocks.of(from, args);
    CudaMatrix scales = blocks.require(CudaMatrix.of(scale)).require(from.dtype());
    CudaMatrix zeroPoints = blocks.require(CudaMatrix.of(zeroPoint)).require(DType.I8);
    OptionalInt lanesLog = blocks.groupLanesLog();
    if (lanesLog.isEmpty() && !blocks.fitsTile(from.dtype())) {
      inSteps(from, blocks, args, scales, zeroPoints, codes);
      return;
    }
    Arguments arguments = matrix(from);
    if (lanesLog.isEmpty()) {
      arguments.ints(blocks.blockRows(), blocks.blockColumns());
    }
    arguments
        .floats(args.minCode(), args.maxCode())
        .ints(args.symmetric() ? 1 : 0)
        .matrix(scales)
        .matrix(zeroPoints);
    addCodes(arguments, from, args, CudaMatrix.of(codes));
    lanesLog.ifPresent(value -> arguments.ints(value, blocks.warpsLog()));
    kernels.launch(
        "quench_quantize_to_nearest_%s_%s_%s"
            .formatted(lanesLog.isPresent() ? "groups" : "tiles", suffix(from), suffix(args)),
        lanesLog.isPresent() ? blocks.warps() : blocks.tiles(),
        arguments);
  }

  /** Blocks that no kernel holds while it finds their scale: x is read twice. */
  private void inSteps(
      CudaMatrix x,
      ScaleBlocks blocks,
      QuantizationArgs args,
      CudaMatrix scale,
      CudaMatrix zeroPoint,
      Tensor codes) {
    try (CudaScope scope = memory.openScope()) {
      CudaMatrix min = scope.allocate(x.dtype(), scale.rows(), scale.columns());
      CudaMatrix max = scope.allocate(x.dtype(), scale.rows(), scale.columns());
      observe(x, blocks, min, max);
      quantizationParameters(min, max, args, scale, zeroPoint);
      quantize(x, scale, zeroPoint, args, codes);
    }
  }

  /** Where codes go: their address, bytes of a stride, bytes of a row; for integers their width. */
  private static void addCodes(
      Arguments arguments, CudaMatrix x, QuantizationArgs args, CudaMatrix codes) {
    boolean packed = codes.dtype() == DType.I32 && args.type() == Type.INT;
    long columns = x.columns();
    if (packed) {
      codes.require(x.rows(), BitPacking.words(columns, args.numBits()));
    } else {
      codes.require(codeDtype(args)).require(x.rows(), columns);
    }
    arguments
        .pointer(codes.address())
        .longs(codes.dtype().bytes(codes.stride()))
        .ints(Math.toIntExact(codes.dtype().bytes(codes.columns())));
    if (args.type() == Type.INT) {
      arguments.ints(args.numBits(), packed ? 1 : 0);
    }
  }

  void dequantize(Tensor codes, Tensor scale, Tensor zeroPoint, QuantizationArgs args, Tensor x) {
    CudaMatrix to = requireFloat(CudaMatrix.of(x));
    CudaMatrix from = CudaMatrix.of(codes).require(codeDtype(args));
    from.require(to.rows(), to.columns());
    ScaleBlocks blocks = ScaleBlocks.of(to, args);
    CudaMatrix scales = blocks.require(requireFloat(CudaMatrix.of(scale)));
    OptionalInt shift = blocks.blockShift();
    Arguments arguments =
        matrix(from)
            .ints(number(scales.dtype()))
            .matrix(scales)
            .matrix(blocks.require(CudaMatrix.of(zeroPoint)).require(DType.I8))
            .ints(blocks.blockRows(), shift.orElse(blocks.blockColumns()))
            .matrix(to);
    shift.ifPresent(value -> arguments.ints(ScaleBlocks.lanesLog(value)));
    kernels.launch(
        "quench_dequantize_%s_%s_%s"
            .formatted(shift.isPresent() ? "groups" : "elements", suffix(args), suffix(to)),
        blocks.warps(),
        arguments.ints(blocks.warpsLog()));
  }

  void pack(Tensor codes, int bits, Tensor packed) {
    CudaMatrix from = CudaMatrix.of(codes).require(DType.I8);
    CudaMatrix to = CudaMatrix.of(packed).require(DType.I32);
    to.require(from.rows(), BitPacking.words(from.columns(), bits));
    ScaleBlocks rows = ScaleBlocks.rowsOf(from);
    kernels.launch(
        "quench_pack_i8",
        rows.warps(),
        matrix(from).ints(requireBits(bits)).matrix(to).ints(rows.warpsLog()));
  }

  void unpack(Tensor packed, int bits, Tensor codes) {
    CudaMatrix from = CudaMatrix.of(packed).require(DType.I32);
    CudaMatrix to = CudaMatrix.of(codes).require(DType.I8);
    from.require(to.rows(), BitPacking.words(to.columns(), bits));
    ScaleBlocks rows = ScaleBlocks.rowsOf(to);
    kernels.launch(
        "quench_unpack_i8",
        rows.warps(),
        new Arguments()
            .matrix(from)
            .longs(to.rows())
            .ints(Math.toIntExact(to.columns()), requireBits(bits))
            .matrix(to)
            .ints(rows.warpsLog()));
  }

  private static int requireBits(int bits) {
    if (bits < 1 || bits > 8) {
      throw new IllegalArgumentException("codes of " + bits + " bits");
    }
    return bits;
  }

  /** The matrix, its rows and its columns. */
  private static Arguments matrix(CudaMatrix x) {
    return new Arguments().matrix(x).longs(x.rows()).ints(Math.toIntExact(x.columns()));
  }

  static DType codeDtype(QuantizationArgs args) {
    return args.type() == Type.INT ? DType.I8 : DType.F8_E4M3;
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
