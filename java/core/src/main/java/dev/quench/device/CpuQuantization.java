package dev.quench.device;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.quantization.QuantizationParameters;
import dev.quench.quantization.Rounding;
import dev.quench.tensor.DType;
import dev.quench.tensor.Float8E4M3;
import java.lang.foreign.MemorySegment;

/**
 * Ranges, scales, codes and packing on the CPU: rows are cut into tasks, a row's codes stay in
 * cache until packed.
 */
final class CpuQuantization {
  private static final long TASK_ELEMENTS = 1 << 17;

  private final Workers workers;

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
    requireDtype(mins, from.dtype());
    requireDtype(maxs, from.dtype());
    if (blockRows > 1 && blockRows * from.columns() > TASK_ELEMENTS) {
      observeTall(from, blockRows, blockColumns, mins, maxs);
      return;
    }
    overBands(
        from,
        blockRows,
        (begin, end) -> observe(from, begin, end, blockRows, blockColumns, mins, maxs));
  }

  private static void observe(
      HostMatrix x,
      long begin,
      long end,
      long blockRows,
      long blockColumns,
      HostMatrix mins,
      HostMatrix maxs) {
    for (long row = begin; row < end; row += blockRows) {
      long last = Math.min(row + blockRows, x.rows());
      for (long block = 0; block < mins.columns(); block++) {
        long column = block * blockColumns;
        long width = Math.min(blockColumns, x.columns() - column);
        Range range = Range.ZERO;
        for (long r = row; r < last; r++) {
          range = range.and(RangeKernels.range(x.dtype(), x.memory(), x.offset(r, column), width));
        }
        FloatAccess.set(mins, row / blockRows, block, range.min());
        FloatAccess.set(maxs, row / blockRows, block, range.max());
      }
    }
  }

  /**
   * Blocks of many rows: each row's part first, in parallel; then the parts of a block together.
   */
  private void observeTall(
      HostMatrix x, long blockRows, long blockColumns, HostMatrix mins, HostMatrix maxs) {
    int blocks = Math.toIntExact(mins.columns());
    Range[] parts = new Range[Math.toIntExact(x.rows() * blocks)];
    overBands(
        x,
        1,
        (begin, end) -> {
          for (long row = begin; row < end; row++) {
            for (int block = 0; block < blocks; block++) {
              long column = block * blockColumns;
              long width = Math.min(blockColumns, x.columns() - column);
              parts[(int) (row * blocks + block)] =
                  RangeKernels.range(x.dtype(), x.memory(), x.offset(row, column), width);
            }
          }
        });
    for (long band = 0; band < mins.rows(); band++) {
      for (int block = 0; block < blocks; block++) {
        Range range = Range.ZERO;
        for (long r = band * blockRows; r < Math.min((band + 1) * blockRows, x.rows()); r++) {
          range = range.and(parts[(int) (r * blocks + block)]);
        }
        FloatAccess.set(mins, band, block, range.min());
        FloatAccess.set(maxs, band, block, range.max());
      }
    }
  }

  void quantizationParameters(
      Tensor min, Tensor max, QuantizationArgs args, Tensor scale, Tensor zeroPoint) {
    HostMatrix mins = HostMatrix.of(min);
    HostMatrix maxs = HostMatrix.of(max);
    HostMatrix scales = HostMatrix.of(scale);
    HostMatrix zeroPoints = HostMatrix.of(zeroPoint);
    CpuMoving.requireShape(maxs, mins.rows(), mins.columns());
    requireParameters(mins, mins.dtype(), scales, zeroPoints);
    overBands(
        mins, 1, (begin, end) -> parameters(mins, maxs, begin, end, args, scales, zeroPoints));
  }

  private static void parameters(
      HostMatrix mins,
      HostMatrix maxs,
      long begin,
      long end,
      QuantizationArgs args,
      HostMatrix scales,
      HostMatrix zeroPoints) {
    for (long row = begin; row < end; row++) {
      for (long column = 0; column < mins.columns(); column++) {
        QuantizationParameters parameters =
            QuantizationParameters.of(
                FloatAccess.get(mins, row, column),
                FloatAccess.get(maxs, row, column),
                args,
                mins.dtype());
        FloatAccess.set(scales, row, column, parameters.scale());
        FloatAccess.setByte(zeroPoints, row, column, parameters.zeroPoint());
      }
    }
  }

  void quantize(Tensor x, Tensor scale, Tensor zeroPoint, QuantizationArgs args, Tensor codes) {
    HostMatrix from = HostMatrix.of(x);
    HostMatrix scales = HostMatrix.of(scale);
    HostMatrix zeroPoints = HostMatrix.of(zeroPoint);
    HostMatrix to = HostMatrix.of(codes);
    requireGrid(from, args.blockRows(from.rows()), args.blockColumns(from.columns()), scales);
    requireParameters(scales, from.dtype(), scales, zeroPoints);
    requireCodes(from, args, to);
    overBands(from, 1, (begin, end) -> quantize(from, begin, end, scales, zeroPoints, args, to));
  }

  private static void quantize(
      HostMatrix x,
      long begin,
      long end,
      HostMatrix scales,
      HostMatrix zeroPoints,
      QuantizationArgs args,
      HostMatrix codes) {
    long blockRows = args.blockRows(x.rows());
    long blockColumns = args.blockColumns(x.columns());
    byte[] row = new byte[Math.toIntExact(x.columns())];
    for (long r = begin; r < end; r++) {
      for (long block = 0; block < scales.columns(); block++) {
        int column = (int) (block * blockColumns);
        int width = (int) Math.min(blockColumns, x.columns() - column);
        CodeKernels.codes(
            x.dtype(),
            x.memory(),
            x.offset(r, column),
            width,
            FloatAccess.get(scales, r / blockRows, block),
            FloatAccess.getByte(zeroPoints, r / blockRows, block),
            args,
            row,
            column);
      }
      if (codes.dtype() == DType.I32) {
        Packing.pack(row, args.numBits(), codes.memory(), codes.offset(r, 0));
      } else {
        MemorySegment.copy(
            row, 0, codes.memory(), FloatAccess.BYTE, codes.offset(r, 0), row.length);
      }
    }
  }

  void quantizeToNearest(
      Tensor x, QuantizationArgs args, Tensor scale, Tensor zeroPoint, Tensor codes) {
    HostMatrix from = HostMatrix.of(x);
    HostMatrix scales = HostMatrix.of(scale);
    HostMatrix zeroPoints = HostMatrix.of(zeroPoint);
    HostMatrix to = HostMatrix.of(codes);
    long blockRows = args.blockRows(from.rows());
    long blockColumns = args.blockColumns(from.columns());
    requireGrid(from, blockRows, blockColumns, scales);
    requireParameters(scales, from.dtype(), scales, zeroPoints);
    requireCodes(from, args, to);
    if (blockRows * from.columns() > TASK_ELEMENTS && blockRows > 1) {
      try (HostPool pool = new HostPool();
          HostScope scope = new HostScope(pool)) {
        Tensor min = scope.allocate(from.dtype(), scales.rows(), scales.columns());
        Tensor max = scope.allocate(from.dtype(), scales.rows(), scales.columns());
        observe(x, blockRows, blockColumns, min, max);
        quantizationParameters(min, max, args, scale, zeroPoint);
      }
      quantize(x, scale, zeroPoint, args, codes);
      return;
    }
    overBands(
        from,
        blockRows,
        (begin, end) -> {
          for (long row = begin; row < end; row += blockRows) {
            long last = Math.min(row + blockRows, from.rows());
            for (long block = 0; block < scales.columns(); block++) {
              long column = block * blockColumns;
              long width = Math.min(blockColumns, from.columns() - column);
              Range range = Range.ZERO;
              for (long r = row; r < last; r++) {
                range =
                    range.and(
                        RangeKernels.range(
                            from.dtype(), from.memory(), from.offset(r, column), width));
              }
              QuantizationParameters parameters =
                  QuantizationParameters.of(range.min(), range.max(), args, from.dtype());
              FloatAccess.set(scales, row / blockRows, block, parameters.scale());
              FloatAccess.setByte(zeroPoints, row / blockRows, block, parameters.zeroPoint());
            }
            quantize(from, row, last, scales, zeroPoints, args, to);
          }
        });
  }

  void dequantize(Tensor codes, Tensor scale, Tensor zeroPoint, QuantizationArgs args, Tensor x) {
    HostMatrix from = HostMatrix.of(codes);
    HostMatrix scales = HostMatrix.of(scale);
    HostMatrix zeroPoints = HostMatrix.of(zeroPoint);
    HostMatrix to = HostMatrix.of(x);
    CpuMoving.requireShape(to, from.rows(), from.columns());
    long blockRows = args.blockRows(from.rows());
    long blockColumns = args.blockColumns(from.columns());
    requireGrid(from, blockRows, blockColumns, scales);
    requireDtype(from, args.type() == Type.INT ? DType.I8 : DType.F8_E4M3);
    overBands(
        from,
        1,
        (begin, end) -> {
          for (long r = begin; r < end; r++) {
            for (long block = 0; block < scales.columns(); block++) {
              long column = block * blockColumns;
              long width = Math.min(blockColumns, from.columns() - column);
              dequantize(
                  from,
                  r,
                  column,
                  width,
                  FloatAccess.get(scales, r / blockRows, block),
                  FloatAccess.getByte(zeroPoints, r / blockRows, block),
                  scales.dtype(),
                  args,
                  to);
            }
          }
        });
  }

  private static void dequantize(
      HostMatrix codes,
      long row,
      long column,
      long width,
      float scale,
      float zeroPoint,
      DType dtype,
      QuantizationArgs args,
      HostMatrix x) {
    for (long c = column; c < column + width; c++) {
      byte code = FloatAccess.getByte(codes, row, c);
      float q = args.type() == Type.INT ? code : Float8E4M3.toFloat(code);
      FloatAccess.set(x, row, c, Rounding.to(dtype, Rounding.to(dtype, q - zeroPoint) * scale));
    }
  }

  void pack(Tensor codes, int bits, Tensor packed) {
    HostMatrix from = HostMatrix.of(codes);
    HostMatrix to = HostMatrix.of(packed);
    requireDtype(from, DType.I8);
    requireDtype(to, DType.I32);
    CpuMoving.requireShape(to, from.rows(), Math.ceilDiv(from.columns() * bits, 32));
    overBands(
        from,
        1,
        (begin, end) -> {
          byte[] row = new byte[Math.toIntExact(from.columns())];
          for (long r = begin; r < end; r++) {
            MemorySegment.copy(
                from.memory(), FloatAccess.BYTE, from.offset(r, 0), row, 0, row.length);
            Packing.pack(row, bits, to.memory(), to.offset(r, 0));
          }
        });
  }

  void unpack(Tensor packed, int bits, Tensor codes) {
    HostMatrix from = HostMatrix.of(packed);
    HostMatrix to = HostMatrix.of(codes);
    requireDtype(from, DType.I32);
    requireDtype(to, DType.I8);
    CpuMoving.requireShape(from, to.rows(), Math.ceilDiv(to.columns() * bits, 32));
    overBands(
        to,
        1,
        (begin, end) -> {
          byte[] row = new byte[Math.toIntExact(to.columns())];
          for (long r = begin; r < end; r++) {
            Packing.unpack(from.memory(), from.offset(r, 0), bits, row);
            MemorySegment.copy(row, 0, to.memory(), FloatAccess.BYTE, to.offset(r, 0), row.length);
          }
        });
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
    CpuMoving.requireShape(
        parameters, Math.ceilDiv(x.rows(), blockRows), Math.ceilDiv(x.columns(), blockColumns));
  }

  private static void requireParameters(
      HostMatrix grid, DType dtype, HostMatrix scales, HostMatrix zeroPoints) {
    CpuMoving.requireShape(scales, grid.rows(), grid.columns());
    CpuMoving.requireShape(zeroPoints, grid.rows(), grid.columns());
    requireDtype(scales, dtype);
    requireDtype(zeroPoints, DType.I8);
  }

  private static void requireCodes(HostMatrix x, QuantizationArgs args, HostMatrix codes) {
    if (codes.dtype() == DType.I32 && args.type() == Type.INT) {
      CpuMoving.requireShape(codes, x.rows(), Math.ceilDiv(x.columns() * args.numBits(), 32));
    } else {
      requireDtype(codes, args.type() == Type.INT ? DType.I8 : DType.F8_E4M3);
      CpuMoving.requireShape(codes, x.rows(), x.columns());
    }
  }

  private static void requireDtype(HostMatrix matrix, DType dtype) {
    if (matrix.dtype() != dtype) {
      throw new IllegalArgumentException(matrix + " should be " + dtype);
    }
  }
}
