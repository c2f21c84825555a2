package dev.quench.bench;

import dev.quench.bench.KernelWork.Pipe;
import dev.quench.device.Device;
import dev.quench.device.HadamardMatrix;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import java.util.List;

/**
 * Hessians, their factors, the solver and rotations: {@code syrk.cu, cholesky.cu, gptq.cu,
 * hadamard.cu}.
 */
final class CudaMatrices {
  private CudaMatrices() {}

  /** Columns that the solver rounds in one launch. */
  private static final long SOLVER_BLOCK = 128;

  /** Columns of a block, and of a panel, of the Cholesky factorization. */
  private static final long BLOCK = 64;

  private static final long PANEL = 256;

  /** Tokens that a launch adds to a Hessian at most. */
  private static final long MAX_TOKENS = 8192;

  /** Products of parts, for numbers of BF16 and of F32. */
  private static final int ONE_PRODUCT = 1;

  private static final int ALL_PRODUCTS = 6;

  /** Which kernel adds to a Hessian; Hopper has two, and takes the one that fits the size. */
  enum Syrk {
    MMA("quench_syrk_bf16"),
    NARROW("quench_syrk128_sm90_bf16"),
    WIDE("quench_syrk256_sm90_bf16");

    private final String kernel;

    Syrk(String kernel) {
      this.kernel = kernel;
    }

    private long columns(CudaSizes sizes) {
      return this == WIDE ? sizes.columns() : sizes.hidden();
    }

    private static long launches(CudaSizes sizes) {
      return Math.ceilDiv(sizes.tokens(), MAX_TOKENS);
    }

    private KernelWork work(CudaSizes sizes, int products, double operandBytes) {
      double n = columns(sizes);
      return new KernelWork(
          kernel,
          launches(sizes),
          sizes.tokens() * columns(sizes),
          operandBytes + launches(sizes) * 8 * n * (n + 1) / 2,
          products * n * n * sizes.tokens(),
          Pipe.BF16);
    }
  }

  /** A Hessian's half, from a batch of BF16 activations. */
  static CudaOperation syrk(Syrk variant) {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        double bytes = DType.BF16.bytes(sizes.tokens() * variant.columns(sizes));
        return List.of(variant.work(sizes, ONE_PRODUCT, bytes));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        long n = variant.columns(sizes);
        Tensor x = scope.zeros(DType.BF16, sizes.tokens(), n);
        Tensor h = scope.zeros(DType.F32, n, n);
        return () -> device.syrk(x, h);
      }
    };
  }

  /** The same from F32 activations with all their bits: three parts, six products. */
  static CudaOperation syrkSplit(Syrk variant) {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.tokens() * variant.columns(sizes);
        return List.of(
            KernelWork.streaming("quench_split_f32", elements, 10.0 * elements, 5.0 * elements)
                .withLaunches(Syrk.launches(sizes)),
            variant.work(sizes, ALL_PRODUCTS, 6.0 * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        long n = variant.columns(sizes);
        Tensor x = Operands.random(scope, sizes.tokens(), n);
        Tensor h = scope.zeros(DType.F32, n, n);
        return () -> device.syrk(x, h);
      }
    };
  }

  /** The same from a view of BF16 that tensor maps don't take. */
  static CudaOperation syrkUnaligned(Syrk variant) {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.tokens() * variant.columns(sizes);
        return List.of(
            KernelWork.streaming("quench_split_bf16", elements, 4.0 * elements, 0)
                .withLaunches(Syrk.launches(sizes)),
            variant.work(sizes, ONE_PRODUCT, 2.0 * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        long n = variant.columns(sizes);
        Tensor x = scope.zeros(DType.BF16, sizes.tokens(), n + 1).columns(1, n);
        Tensor h = scope.zeros(DType.F32, n, n);
        return () -> device.syrk(x, h);
      }
    };
  }

  /** A Hessian's factor. The identity's is the identity, so it can be repeated in place. */
  static CudaOperation cholesky() {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        double n = sizes.solver();
        long elements = sizes.solver() * sizes.solver() / 2;
        long blocks = Math.ceilDiv(sizes.solver(), BLOCK);
        // Above the last block there is nothing. Each panel takes what it found out of the triangle
        // that is left, once, and out of its own columns three times: 3, 2 and 1 blocks of them.
        double triangles = n * n * n / 6 / PANEL + n * n / 2 * 6 * BLOCK / PANEL;
        return List.of(
            new KernelWork(
                "quench_cholesky_block_f32",
                blocks,
                elements,
                8 * n * BLOCK / 2,
                n * BLOCK * BLOCK / 3,
                Pipe.FP32),
            new KernelWork(
                "quench_cholesky_panel_f32",
                blocks - 1,
                elements,
                8 * n * n / 2,
                n * n / 2 * BLOCK,
                Pipe.FP32),
            new KernelWork(
                "quench_cholesky_update_f32",
                blocks - 1,
                elements,
                8 * triangles,
                n * n * n / 3,
                Pipe.FP32));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor h = Operands.identity(scope, sizes.solver());
        return () -> {
          if (device.reverseCholesky(h).isPresent()) {
            throw new IllegalStateException("the identity isn't positive definite");
          }
        };
      }
    };
  }

  /** The inverse of a factor, in place; the identity's again. */
  static CudaOperation invert() {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        double n = sizes.solver();
        long elements = sizes.solver() * sizes.solver() / 2;
        long levels = 0;
        double squares = 0;
        double products = 0;
        for (double size = BLOCK; size < n; size *= 2) {
          levels++;
          squares += n / (2 * size) * size * size;
          products += n / (2 * size) * size * size * size;
        }
        // A triangle and a square in, a square out.
        double bytes = 4 * 2.5 * squares;
        return List.of(
            KernelWork.streaming("quench_clear_lower_f32", elements, 4 * n * n / 2, 0),
            KernelWork.streaming(
                "quench_invert_blocks_f32", elements, 8 * n * BLOCK / 2, n * BLOCK * BLOCK / 3),
            new KernelWork("quench_invert_right_f32", levels, elements, bytes, products, Pipe.FP32),
            new KernelWork("quench_invert_left_f32", levels, elements, bytes, products, Pipe.FP32));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor r = Operands.identity(scope, sizes.solver());
        return () -> device.invertUpper(r);
      }
    };
  }

  /** GPTQ's inner loop over all blocks of a weight, without the products between them. */
  static CudaOperation gptq(QuantizationArgs args) {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.rows() * sizes.columns();
        long blocks = sizes.columns() / SOLVER_BLOCK;
        // Weights in, errors and codes out; scales, zero points and losses for each block.
        double bytes = 9.0 * elements + 16.0 * blocks * sizes.rows();
        return List.of(
            new KernelWork(
                "quench_gptq_block_"
                    + switch (args.codeFormat()) {
                      case INTEGER -> "i8";
                      case E4M3 -> "e4m3";
                      case E2M1 -> "e2m1";
                    },
                blocks,
                elements,
                bytes,
                (double) elements * SOLVER_BLOCK,
                Pipe.FP32));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        long channels = sizes.rows();
        Tensor w = Operands.random(scope, SOLVER_BLOCK, channels);
        Tensor u = Operands.identity(scope, SOLVER_BLOCK);
        Tensor scale = Operands.random(scope, 1, channels);
        Tensor zeroPoint = scope.zeros(DType.F32, 1, channels);
        Tensor group = scope.ints(new int[Math.toIntExact(SOLVER_BLOCK)]);
        Tensor codes = scope.allocate(args.codeFormat().dtype(), SOLVER_BLOCK, channels);
        Tensor error = scope.allocate(DType.F32, SOLVER_BLOCK, channels);
        Tensor loss = scope.zeros(DType.F32, 1, channels);
        long blocks = sizes.columns() / SOLVER_BLOCK;
        return () -> {
          for (long block = 0; block < blocks; block++) {
            device.gptqBlock(w, u, scale, zeroPoint, group, args, DType.BF16, codes, error, loss);
          }
        };
      }
    };
  }

  /** Pieces of a weight of so many columns are rotated; the kernel depends on the size alone. */
  static CudaOperation hadamard(long size) {
    return new CudaOperation() {
      private long rows(CudaSizes sizes) {
        return Math.ceilDiv(sizes.rows() * sizes.columns(), size);
      }

      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        HadamardMatrix h = HadamardMatrix.of(size);
        long elements = rows(sizes) * size;
        KernelWork whole =
            KernelWork.streaming(
                h.base() == 1 ? "quench_hadamard_f32" : "quench_hadamard" + h.base() + "_f32",
                elements,
                8.0 * elements,
                Math.log(size) / Math.log(2) * elements);
        return size <= MAX_STAGED
            ? List.of(whole)
            : List.of(
                whole,
                KernelWork.streaming(
                    "quench_hadamard_strided_f32", elements, 8.0 * elements, elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor x = scope.zeros(DType.F32, rows(sizes), size);
        return () -> device.hadamard(x, size);
      }
    };
  }

  /** Columns that a block's shared memory holds. */
  private static final long MAX_STAGED = 1 << 15;
}
