package dev.quench.device;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationParameters;
import dev.quench.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * Ranges, scales, codes and packing on the CPU: rows are cut into tasks, a row's codes stay in
 * cache until packed.
 */
final class CpuQuantization {
  private static final long TASK_ELEMENTS = 1 << 17;

  private final Workers workers;
  private final Spares<CodeKernels> scratch = new Spares<>(CodeKernels::new);

  CpuQuantization(Workers workers) {
    this.workers = workers;
  }

  /** Some rows that share no block with others. */
  @FunctionalInterface
  private interface Band {
    void run(long from, long to);
  }

  void observe(Tensor x, long blockRows, long blockColumns, Tensor min, Tensor max) {
    HostMatrix from = HostMatrix.of(x);
    HostMatrix mins = HostMatrix.of(min);
    HostMatrix maxs = HostMatrix.of(max);
    requireGrid(from, blockRows, blockColumns, mins);
    requireGrid(from, blockRows, blockColumns, maxs);
    mins.require(from.dtype());
    maxs.require(from.dtype());
    if (isTall(from, blockRows)) {
      observeTall(from, blockRows, blockColumns, mins, maxs);
      return;
    }
    overBands(
        from,
        blockRows,
        (begin, end) -> {
          CodeKernels kernels = scratch.take();
          BlockRanges ranges = new BlockRanges(mins.columns());
          for (long row = begin; row < end; row += blockRows) {
            ranges.clear();
            addRows(from, row, Math.min(row + blockRows, end), blockColumns, kernels, ranges);
            for (int block = 0; block < mins.columns(); block++) {
              setRange(ranges.range(block), row / blockRows, block, mins, maxs);
            }
          }
          scratch.give(kernels);
        });
  }

  /** Blocks of many rows: some rows a task, then the parts of a block together. */
  private void observeTall(
      HostMatrix x, long blockRows, long blockColumns, HostMatrix mins, HostMatrix maxs) {
    long rows = Math.max(1, TASK_ELEMENTS / Math.max(1, x.columns()));
    long pieces = Math.ceilDiv(blockRows, rows);
    BlockRanges[] parts = new BlockRanges[Math.toIntExact(mins.rows() * pieces)];
    workers.run(
        parts.length,
        task -> {
          long top = task / pieces * blockRows;
          long begin = top + task % pieces * rows;
          long end = Math.min(Math.min(begin + rows, top + blockRows), x.rows());
          CodeKernels kernels = scratch.take();
          BlockRanges ranges = new BlockRanges(mins.columns());
          addRows(x, begin, end, blockColumns, kernels, ranges);
          parts[(int) task] = ranges;
          scratch.give(kernels);
        });
    for (int band = 0; band < mins.rows(); band++) {
      BlockRanges whole = parts[(int) (band * pieces)];
      for (int piece = 1; piece < pieces; piece++) {
        whole.add(parts[(int) (band * pieces + piece)]);
      }
      for (int block = 0; block < mins.columns(); block++) {
        setRange(whole.range(block), band, block, mins, maxs);
      }
    }
  }

  private static void addRows(
      HostMatrix x,
      long begin,
      long end,
      long blockColumns,
      CodeKernels kernels,
      BlockRanges ranges) {
    for (long row = begin; row < end; row++) {
      ranges.add(x, row, blockColumns, kernels.piece);
    }
  }

  private static void setRange(
      Range range, long row, long column, HostMatrix mins, HostMatrix maxs) {
    FloatAccess.set(mins, row, column, range.min());
    FloatAccess.set(maxs, row, column, range.max());
  }

  void quantizationParameters(
      Tensor min,
      Tensor max,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint) {
    HostMatrix mins = HostMatrix.of(min);
    HostMatrix maxs = HostMatrix.of(max);
    HostMatrix scales = HostMatrix.of(scale);
    HostMatrix zeroPoints = HostMatrix.of(zeroPoint);
    maxs.require(mins.rows(), mins.columns());
    requireParameters(mins, args.scaleFormat().dtype(mins.dtype()), scales, zeroPoints);
    overBands(
        mins,
        1,
        (begin, end) -> parameters(mins, maxs, begin, end, args, globalScale, scales, zeroPoints));
  }

  private static void parameters(
      HostMatrix mins,
      HostMatrix maxs,
      long begin,
      long end,
      QuantizationArgs args,
      float globalScale,
      HostMatrix scales,
      HostMatrix zeroPoints) {
    for (long row = begin; row < end; row++) {
      for (long column = 0; column < mins.columns(); column++) {
        QuantizationParameters parameters =
            QuantizationParameters.of(
                FloatAccess.get(mins, row, column),
                FloatAccess.get(maxs, row, column),
                args,
                globalScale,
                mins.dtype());
        FloatAccess.set(scales, row, column, parameters.scale());
        FloatAccess.setByte(zeroPoints, row, column, parameters.zeroPoint());
      }
    }
  }

  void quantize(
      Tensor x,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor codes) {
    HostMatrix from = HostMatrix.of(x);
    HostMatrix scales = HostMatrix.of(scale);
    HostMatrix zeroPoints = HostMatrix.of(zeroPoint);
    HostMatrix to = HostMatrix.of(codes);
    requireGrid(from, args.blockRows(from.rows()), args.blockColumns(from.columns()), scales);
    requireParameters(scales, args.scaleFormat().dtype(from.dtype()), scales, zeroPoints);
    requireCodes(from, args, to);
    overBands(
        from,
        1,
        (begin, end) -> {
          CodeKernels kernels = scratch.take();
          BlockRanges ranges = new BlockRanges(1);
          addRows(from, begin, end, from.columns(), kernels, ranges);
          boolean moderate = ranges.areModerate();
          quantize(from, begin, end, moderate, scales, zeroPoints, args, globalScale, to, kernels);
          scratch.give(kernels);
        });
  }

  private static void quantize(
      HostMatrix x,
      long begin,
      long end,
      boolean moderate,
      HostMatrix scales,
      HostMatrix zeroPoints,
      QuantizationArgs args,
      float globalScale,
      HostMatrix codes,
      CodeKernels kernels) {
    long blockRows = args.blockRows(x.rows());
    long blockColumns = args.blockColumns(x.columns());
    for (long row = begin; row < end; row++) {
      kernels.quantize(
          x,
          row,
          moderate,
          scales,
          zeroPoints,
          row / blockRows,
          blockColumns,
          args,
          globalScale,
          codes);
    }
  }

  void quantizeToNearest(
      Tensor x,
      QuantizationArgs args,
      float globalScale,
      Tensor scale,
      Tensor zeroPoint,
      Tensor codes) {
    HostMatrix from = HostMatrix.of(x);
    HostMatrix scales = HostMatrix.of(scale);
    HostMatrix zeroPoints = HostMatrix.of(zeroPoint);
    HostMatrix to = HostMatrix.of(codes);
    long blockRows = args.blockRows(from.rows());
    long blockColumns = args.blockColumns(from.columns());
    requireGrid(from, blockRows, blockColumns, scales);
    requireParameters(scales, args.scaleFormat().dtype(from.dtype()), scales, zeroPoints);
    requireCodes(from, args, to);
    if (isTall(from, blockRows)) {
      try (HostPool pool = new HostPool();
          HostScope scope = new HostScope(pool)) {
        Tensor min = scope.allocate(from.dtype(), scales.rows(), scales.columns());
        Tensor max = scope.allocate(from.dtype(), scales.rows(), scales.columns());
        observe(x, blockRows, blockColumns, min, max);
        quantizationParameters(min, max, args, globalScale, scale, zeroPoint);
      }
      quantize(x, scale, zeroPoint, args, globalScale, codes);
      return;
    }
    overBands(
        from,
        blockRows,
        (begin, end) -> {
          CodeKernels kernels = scratch.take();
          BlockRanges ranges = new BlockRanges(scales.columns());
          for (long row = begin; row < end; row += blockRows) {
            long last = Math.min(row + blockRows, end);
            ranges.clear();
            addRows(from, row, last, blockColumns, kernels, ranges);
            for (int block = 0; block < scales.columns(); block++) {
              Range range = ranges.range(block);
              QuantizationParameters parameters =
                  QuantizationParameters.of(
                      range.min(), range.max(), args, globalScale, from.dtype());
              FloatAccess.set(scales, row / blockRows, block, parameters.scale());
              FloatAccess.setByte(zeroPoints, row / blockRows, block, parameters.zeroPoint());
            }
            boolean moderate = ranges.areModerate();
            quantize(from, row, last, moderate, scales, zeroPoints, args, globalScale, to, kernels);
          }
          scratch.give(kernels);
        });
  }

  void dequantize(
      Tensor codes,
      Tensor scale,
      Tensor zeroPoint,
      QuantizationArgs args,
      float globalScale,
      Tensor x) {
    HostMatrix from = HostMatrix.of(codes);
    HostMatrix scales = HostMatrix.of(scale);
    HostMatrix zeroPoints = HostMatrix.of(zeroPoint);
    HostMatrix to = HostMatrix.of(x);
    to.require(from.rows(), from.columns());
    long blockRows = args.blockRows(from.rows());
    long blockColumns = args.blockColumns(from.columns());
    requireGrid(from, blockRows, blockColumns, scales);
    requireParameters(scales, scales.dtype(), scales, zeroPoints);
    from.require(args.codeFormat().dtype());
    overBands(
        from,
        1,
        (begin, end) -> {
          CodeKernels kernels = scratch.take();
          for (long row = begin; row < end; row++) {
            kernels.dequantize(
                from,
                row,
                scales,
                zeroPoints,
                row / blockRows,
                blockColumns,
                args.codeFormat(),
                globalScale,
                to);
          }
          scratch.give(kernels);
        });
  }

  void pack(Tensor codes, int bits, Tensor packed) {
    HostMatrix from = HostMatrix.of(codes);
    HostMatrix to = HostMatrix.of(packed);
    from.require(DType.I8);
    requirePacked(to, from.rows(), from.columns(), bits);
    overBands(
        from,
        1,
        (begin, end) -> {
          byte[] row = new byte[Math.toIntExact(from.columns())];
          for (long r = begin; r < end; r++) {
            MemorySegment.copy(
                from.memory(), FloatAccess.BYTE, from.offset(r, 0), row, 0, row.length);
            Packing.pack(row, bits, to.dtype(), to.memory(), to.offset(r, 0));
          }
        });
  }

  void unpack(Tensor packed, int bits, Tensor codes) {
    HostMatrix from = HostMatrix.of(packed);
    HostMatrix to = HostMatrix.of(codes);
    to.require(DType.I8);
    requirePacked(from, to.rows(), to.columns(), bits);
    overBands(
        to,
        1,
        (begin, end) -> {
          byte[] row = new byte[Math.toIntExact(to.columns())];
          for (long r = begin; r < end; r++) {
            Packing.unpack(from.memory(), from.offset(r, 0), bits, from.dtype(), row);
            MemorySegment.copy(row, 0, to.memory(), FloatAccess.BYTE, to.offset(r, 0), row.length);
          }
        });
  }

  /** True if blocks are higher than a task. */
  private static boolean isTall(HostMatrix x, long blockRows) {
    return blockRows > 1 && blockRows * x.columns() > TASK_ELEMENTS;
  }

  /** Cuts rows into bands of whole blocks; the cut depends on the shape alone. */
  private void overBands(HostMatrix matrix, long blockRows, Band band) {
    long blocks = Math.max(1, TASK_ELEMENTS / Math.max(1, blockRows * matrix.columns()));
    long rows = blocks * blockRows;
    workers.run(
        Math.ceilDiv(matrix.rows(), rows),
        task -> band.run(task * rows, Math.min((task + 1) * rows, matrix.rows())));
  }

  private static void requireGrid(
      HostMatrix x, long blockRows, long blockColumns, HostMatrix parameters) {
    parameters.require(Math.ceilDiv(x.rows(), blockRows), Math.ceilDiv(x.columns(), blockColumns));
  }

  private static void requireParameters(
      HostMatrix grid, DType dtype, HostMatrix scales, HostMatrix zeroPoints) {
    scales.require(grid.rows(), grid.columns());
    zeroPoints.require(grid.rows(), grid.columns());
    scales.require(dtype);
    zeroPoints.require(DType.I8);
  }

  private static void requireCodes(HostMatrix x, QuantizationArgs args, HostMatrix codes) {
    if (args.codeFormat().packedDtype().equals(Optional.of(codes.dtype()))) {
      requirePacked(codes, x.rows(), x.columns(), args.numBits());
    } else {
      codes.require(args.codeFormat().dtype());
      codes.require(x.rows(), x.columns());
    }
  }

  private static void requirePacked(HostMatrix packed, long rows, long columns, int bits) {
    if (packed.dtype() != DType.U8 || bits != 4) {
      packed.require(DType.I32);
    }
    packed.require(rows, Math.ceilDiv(columns * bits, packed.dtype().bits()));
  }
}
