package dev.quench.bench;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/** Casts, transpositions and gathers: {@code moving.cu}. */
final class CudaMoving {
  private CudaMoving() {}

  /** What happens to a weight while it is moved. */
  enum Way {
    CONVERT("convert", "copy") {
      @Override
      Runnable prepare(Device device, Scope scope, Tensor source, DType to) {
        Tensor target = like(source, to, scope);
        return () -> device.convert(source, target);
      }
    },
    GATHER_ROWS("gather_rows", "gather_rows") {
      @Override
      Runnable prepare(Device device, Scope scope, Tensor source, DType to) {
        Tensor target = like(source, to, scope);
        Tensor order = scope.ints(shuffled(Math.toIntExact(source.rows())));
        return () -> device.gatherRows(source, order, target);
      }
    },
    TRANSPOSE("transpose", "transpose") {
      @Override
      Runnable prepare(Device device, Scope scope, Tensor source, DType to) {
        Tensor target = scope.allocate(to, source.columns(), source.rows());
        return () -> device.transpose(source, target);
      }
    };

    private final String cast;
    private final String copy;

    Way(String cast, String copy) {
      this.cast = cast;
      this.copy = copy;
    }

    /** Rows as far from each other as the source's. */
    private static Tensor like(Tensor source, DType to, Scope scope) {
      return scope.allocate(to, source.rows(), source.stride()).columns(0, source.columns());
    }

    abstract Runnable prepare(Device device, Scope scope, Tensor source, DType to);
  }

  /** A weight moves from one dtype to another, or from one to the same. */
  static CudaOperation move(Way way, DType from, DType to) {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        String kernel =
            from == to
                ? "quench_" + way.copy + "_b" + from.bits()
                : "quench_%s_%s_%s".formatted(way.cast, from, to).toLowerCase(Locale.ROOT);
        long elements = sizes.rows() * cut(sizes);
        double bytes = from.bytes(elements) + to.bytes(elements);
        if (way == Way.GATHER_ROWS) {
          bytes += DType.I32.bytes(sizes.rows());
        }
        return List.of(KernelWork.streaming(kernel, elements, bytes, 0));
      }

      /** Elements of 8 and 16 bits move as larger units where nothing forbids it. */
      private long cut(CudaSizes sizes) {
        boolean narrow = from == to && from.bits() < 32 && way != Way.TRANSPOSE;
        return narrow ? sizes.columns() - 1 : sizes.columns();
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor source = scope.zeros(from, sizes.rows(), sizes.columns());
        return way.prepare(device, scope, source.columns(0, cut(sizes)), to);
      }
    };
  }

  /** Half of a Hessian is reordered. */
  static CudaOperation gatherSymmetric() {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long n = sizes.solver();
        long elements = n * (n + 1) / 2;
        return List.of(
            KernelWork.streaming("quench_gather_symmetric_f32", elements, 8.0 * elements, 0));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        long n = sizes.solver();
        Tensor lower = scope.zeros(DType.F32, n, n);
        Tensor target = scope.zeros(DType.F32, n, n);
        Tensor order = scope.ints(shuffled(Math.toIntExact(n)));
        return () -> device.gatherSymmetric(lower, order, target);
      }
    };
  }

  /** A diagonal is read or written. */
  static CudaOperation diagonal(boolean set) {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        String kernel = set ? "quench_set_diagonal_f32" : "quench_diagonal_f32";
        // A sector of 32 bytes for each element of the matrix.
        return List.of(KernelWork.streaming(kernel, sizes.solver(), 36.0 * sizes.solver(), 0));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor matrix = scope.zeros(DType.F32, sizes.solver(), sizes.solver());
        Tensor values = scope.zeros(DType.F32, 1, sizes.solver());
        return set
            ? () -> device.setDiagonal(values, matrix)
            : () -> device.diagonal(matrix, values);
      }
    };
  }

  /** A permutation, the same in each run. */
  static int[] shuffled(int n) {
    int[] order = new int[n];
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < n; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }
}
