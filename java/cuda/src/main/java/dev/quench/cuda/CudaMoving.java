package dev.quench.cuda;

import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.Locale;

/** Casts, transpositions and gathers on the CUDA device: {@code kernels/moving.cu}. */
final class CudaMoving {
  private static final int QUADS = 4;
  private static final int THREADS = 256;

  /** Side of the square that a block transposes. */
  private static final long SIDE = 64;

  private final Kernels kernels;

  CudaMoving(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
  }

  /** What moves: two views, and the part of the kernel's name that says how their elements do. */
  private record Pair(CudaMatrix source, CudaMatrix target, String suffix) {
    /** Equal dtypes move as bits, in units as wide as both views allow. */
    static Pair of(CudaMatrix source, CudaMatrix target) {
      if (source.dtype() != target.dtype()) {
        return new Pair(source, target, castName(source.dtype(), target.dtype()));
      }
      long bytes = unitBytes(source) | unitBytes(target);
      DType unit =
          switch (Long.numberOfTrailingZeros(bytes)) {
            case 0 -> DType.U8;
            case 1 -> DType.U16;
            default -> DType.U32;
          };
      return new Pair(inUnits(source, unit), inUnits(target, unit), unitName(unit));
    }

    /** Its low bits tell what divides address, rows and distance of rows. */
    private static long unitBytes(CudaMatrix matrix) {
      DType dtype = matrix.dtype();
      long distance = matrix.rows() <= 1 ? 0 : dtype.bytes(matrix.stride());
      return matrix.address() | dtype.bytes(matrix.columns()) | distance;
    }

    private static CudaMatrix inUnits(CudaMatrix matrix, DType unit) {
      DType dtype = matrix.dtype();
      long size = unit.bytes(1);
      long columns = dtype.bytes(matrix.columns()) / size;
      long stride = matrix.rows() <= 1 ? columns : dtype.bytes(matrix.stride()) / size;
      return new CudaMatrix(unit, matrix.rows(), columns, stride, matrix.address());
    }
  }

  void convert(Tensor source, Tensor target) {
    CudaMatrix from = CudaMatrix.of(source);
    CudaMatrix to = CudaMatrix.of(target).require(from.rows(), from.columns());
    boolean flat = Quads.flat(from, to);
    Pair pair = flat ? Pair.of(Quads.asRow(from), Quads.asRow(to)) : Pair.of(from, to);
    CudaMatrix moved = pair.target;
    Quads quads = Quads.over(moved.rows(), moved.columns(), QUADS);
    kernels.launch(
        (from.dtype() == to.dtype() ? "quench_copy_" : "quench_convert_") + pair.suffix,
        quads.grid(),
        new Arguments()
            .matrix(pair.source)
            .matrix(moved)
            .longs(moved.rows(), moved.columns())
            .ints(quads.widthBits()));
  }

  void gatherRows(Tensor source, Tensor index, Tensor target) {
    CudaMatrix from = CudaMatrix.of(source);
    CudaMatrix to = CudaMatrix.of(target);
    CudaMatrix rows = CudaMatrix.of(index).require(DType.I32).require(1, to.rows());
    to.require(rows.columns(), from.columns());
    Pair pair = Pair.of(from, to);
    CudaMatrix moved = pair.target;
    Quads quads = Quads.over(moved.rows(), moved.columns(), QUADS);
    kernels.launch(
        "quench_gather_rows_" + pair.suffix,
        quads.grid(),
        new Arguments()
            .matrix(pair.source)
            .longs(from.rows())
            .pointer(rows.address())
            .matrix(moved)
            .longs(moved.rows(), moved.columns())
            .ints(quads.widthBits()));
  }

  void transpose(Tensor source, Tensor target) {
    CudaMatrix from = CudaMatrix.of(source);
    CudaMatrix to = CudaMatrix.of(target).require(from.columns(), from.rows());
    String suffix =
        from.dtype() == to.dtype() ? unitName(from.dtype()) : castName(from.dtype(), to.dtype());
    long squares =
        Math.multiplyExact(Math.ceilDiv(from.rows(), SIDE), Math.ceilDiv(from.columns(), SIDE));
    kernels.launch(
        "quench_transpose_" + suffix,
        Grid.of(squares, THREADS),
        new Arguments().matrix(from).matrix(to).longs(from.rows(), from.columns()));
  }

  void gatherSymmetric(Tensor lower, Tensor index, Tensor target) {
    CudaMatrix h = CudaMatrix.of(lower).require(DType.F32);
    long n = h.rows();
    h.require(n, n);
    CudaMatrix order = CudaMatrix.of(index).require(DType.I32).require(1, n);
    CudaMatrix to = CudaMatrix.of(target).require(DType.F32).require(n, n);
    Quads quads = Quads.over(n, n, QUADS);
    kernels.launch(
        "quench_gather_symmetric_f32",
        quads.grid(),
        new Arguments()
            .matrix(h)
            .pointer(order.address())
            .longs(n)
            .matrix(to)
            .ints(quads.widthBits()));
  }

  void diagonal(Tensor matrix, Tensor values) {
    CudaMatrix from = square(matrix);
    CudaMatrix to = CudaMatrix.of(values).require(DType.F32).require(1, from.rows());
    kernels.launch(
        "quench_diagonal_f32",
        Grid.over(from.rows(), THREADS, THREADS),
        new Arguments().matrix(from).pointer(to.address()).longs(from.rows()));
  }

  void setDiagonal(Tensor values, Tensor matrix) {
    CudaMatrix to = square(matrix);
    CudaMatrix from = CudaMatrix.of(values).require(DType.F32).require(1, to.rows());
    kernels.launch(
        "quench_set_diagonal_f32",
        Grid.over(to.rows(), THREADS, THREADS),
        new Arguments().pointer(from.address()).matrix(to).longs(to.rows()));
  }

  private static CudaMatrix square(Tensor tensor) {
    CudaMatrix matrix = CudaMatrix.of(tensor).require(DType.F32);
    return matrix.require(matrix.rows(), matrix.rows());
  }

  private static String castName(DType from, DType to) {
    boolean floats = isFloat(from) && isFloat(to);
    if (!floats && !(from == DType.I8 && to == DType.F32)) {
      throw new IllegalArgumentException("no cast from " + from + " to " + to);
    }
    return (from + "_" + to).toLowerCase(Locale.ROOT);
  }

  private static boolean isFloat(DType dtype) {
    return dtype == DType.F32 || dtype == DType.BF16 || dtype == DType.F16;
  }

  private static String unitName(DType dtype) {
    if (dtype.bits() % 8 != 0) {
      throw new IllegalArgumentException("no transposition of " + dtype);
    }
    return "b" + dtype.bits();
  }
}
