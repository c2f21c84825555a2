package dev.quench.cuda;

import dev.quench.device.Activation;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;

/**
 * Operations of a forward pass on the CUDA device: {@code elementwise.cu, norm.cu, rope.cu,
 * activation.cu} and {@code logits.cu} of {@code kernels/}.
 */
final class CudaModel {
  /** Elements of a row that a thread of a block takes at once, in rmsNorm and logProbability. */
  private static final long ROW_ELEMENTS = 16;

  private static final int MAX_NORM_THREADS = 1024;
  private static final int MAX_LOGIT_THREADS = 512;
  private static final int MAX_ROPE_THREADS = 256;
  private static final int WARP = 32;

  private final Kernels kernels;

  CudaModel(Kernels kernels, CudaMemory memory) {
    this.kernels = kernels;
  }

  void add(Tensor x, Tensor y) {
    CudaMatrix to = f32(y);
    CudaMatrix from = f32(x).require(to.rows(), to.columns());
    if (Quads.flat(from, to)) {
      from = Quads.asRow(from);
      to = Quads.asRow(to);
    }
    overQuads("quench_add_f32", to, 4, new Arguments().matrix(from).matrix(to));
  }

  void round(Tensor x, DType dtype) {
    CudaMatrix matrix = f32(x);
    String kernel =
        switch (dtype) {
          case F16 -> "quench_round_f16";
          case BF16 -> "quench_round_bf16";
          case F32 -> "";
          default -> throw new IllegalArgumentException("no arithmetic in " + dtype);
        };
    if (kernel.isEmpty()) {
      return;
    }
    if (Quads.flat(matrix)) {
      matrix = Quads.asRow(matrix);
    }
    overQuads(kernel, matrix, 4, new Arguments().matrix(matrix));
  }

  void scaleColumns(Tensor factors, Tensor y) {
    combineRow("quench_scale_columns_f32", factors, y);
  }

  void addRow(Tensor bias, Tensor y) {
    combineRow("quench_add_row_f32", bias, y);
  }

  private void combineRow(String kernel, Tensor row, Tensor y) {
    CudaMatrix to = f32(y);
    CudaMatrix from = f32(row).require(1, to.columns());
    overQuads(kernel, to, 4, new Arguments().pointer(from.address()).matrix(to));
  }

  void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y) {
    CudaMatrix to = f32(y);
    CudaMatrix gates = f32(gate).require(to.rows(), to.columns());
    CudaMatrix ups = f32(up).require(to.rows(), to.columns());
    if (Quads.flat(gates, ups, to)) {
      gates = Quads.asRow(gates);
      ups = Quads.asRow(ups);
      to = Quads.asRow(to);
    }
    String kernel =
        switch (activation) {
          case SILU -> "quench_gated_silu_f32";
        };
    overQuads(kernel, to, 2, new Arguments().matrix(gates).matrix(ups).matrix(to));
  }

  /** Launches an elementwise kernel, whose last parameters are the shape and how it is shared. */
  private void overQuads(String kernel, CudaMatrix shape, int quadsOfThread, Arguments operands) {
    Quads quads = Quads.over(shape.rows(), shape.columns(), quadsOfThread);
    kernels.launch(
        kernel,
        quads.grid(),
        operands.longs(shape.rows(), shape.columns()).ints(quads.widthBits()));
  }

  void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    CudaMatrix from = f32(x);
    CudaMatrix scale = f32(weight).require(1, from.columns());
    CudaMatrix to = f32(y).require(from.rows(), from.columns());
    if (from.columns() == 0) {
      return;
    }
    kernels.launch(
        "quench_rms_norm_f32",
        Grid.of(from.rows(), rowThreads(from.columns(), MAX_NORM_THREADS)),
        new Arguments()
            .matrix(from)
            .pointer(scale.address())
            .matrix(to)
            .longs(from.columns())
            .floats(epsilon));
  }

  void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin) {
    CudaMatrix states = f32(x);
    CudaMatrix at = CudaMatrix.of(positions).require(DType.I32).require(1, states.rows());
    CudaMatrix cosines = f32(cos);
    CudaMatrix sines = f32(sin).require(cosines.rows(), cosines.columns());
    if (states.columns() % headDim != 0 || 2 * cosines.columns() > headDim) {
      throw new IllegalArgumentException(
          states + " in heads of " + headDim + ", turned by " + cosines);
    }
    int heads = Math.toIntExact(states.columns() / headDim);
    int half = Math.toIntExact(cosines.columns());
    if (heads == 0 || half == 0) {
      return;
    }
    long items = (long) heads * Math.ceilDiv(half, 4);
    kernels.launch(
        "quench_rope_f32",
        Grid.of(states.rows(), wholeWarps(items, MAX_ROPE_THREADS)),
        new Arguments()
            .matrix(states)
            .pointer(at.address())
            .matrix(cosines)
            .matrix(sines)
            .longs(cosines.rows())
            .ints(heads, headDim, half));
  }

  void logProbability(Tensor logits, Tensor targets, Tensor out) {
    CudaMatrix from = f32(logits);
    CudaMatrix wanted = CudaMatrix.of(targets).require(DType.I32).require(1, from.rows());
    CudaMatrix to = f32(out).require(1, from.rows());
    kernels.launch(
        "quench_log_probability_f32",
        Grid.of(from.rows(), rowThreads(from.columns(), MAX_LOGIT_THREADS)),
        new Arguments()
            .matrix(from)
            .pointer(wanted.address())
            .pointer(to.address())
            .longs(from.columns()));
  }

  /** Threads of a block that takes a row; their number decides the order of its sum. */
  private static int rowThreads(long columns, int most) {
    return wholeWarps(Math.ceilDiv(columns, ROW_ELEMENTS), most);
  }

  private static int wholeWarps(long threads, int most) {
    return (int) Math.clamp(Math.ceilDiv(threads, WARP) * WARP, WARP, most);
  }

  private static CudaMatrix f32(Tensor tensor) {
    return CudaMatrix.of(tensor).require(DType.F32);
  }
}
