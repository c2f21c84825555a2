package dev.quench.bench;

import dev.quench.bench.KernelWork.Pipe;
import dev.quench.device.Activation;
import dev.quench.device.AttentionSpec;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import java.util.List;
import java.util.Locale;

/**
 * What a forward pass does besides matrix products: {@code elementwise.cu, activation.cu, norm.cu,
 * rope.cu, attention.cu, logits.cu}.
 */
final class CudaForward {
  private CudaForward() {}

  /** Products of split numbers in TF32 that make one of F32. */
  private static final int TF32_PRODUCTS = 3;

  /** Rows of logits at a time. */
  private static final long LOGIT_ROWS = 512;

  /** The residual stream is changed in place, by another one or by a row. */
  enum Elementwise {
    ADD(12) {
      @Override
      Runnable prepare(Device device, Scope scope, Tensor y) {
        Tensor x = scope.zeros(DType.F32, y.rows(), y.columns());
        return () -> device.add(x, y);
      }
    },
    ADD_ROW(8) {
      @Override
      Runnable prepare(Device device, Scope scope, Tensor y) {
        Tensor bias = scope.zeros(DType.F32, 1, y.columns());
        return () -> device.addRow(bias, y);
      }
    },
    SCALE_COLUMNS(8) {
      @Override
      Runnable prepare(Device device, Scope scope, Tensor y) {
        Tensor factors = scope.zeros(DType.F32, 1, y.columns());
        return () -> device.scaleColumns(factors, y);
      }
    };

    private final int bytes;

    Elementwise(int bytes) {
      this.bytes = bytes;
    }

    abstract Runnable prepare(Device device, Scope scope, Tensor y);
  }

  private static long stream(CudaSizes sizes) {
    return sizes.tokens() * sizes.hidden();
  }

  static CudaOperation elementwise(Elementwise what) {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        String kernel = "quench_" + what.name().toLowerCase(Locale.ROOT) + "_f32";
        long elements = stream(sizes);
        return List.of(
            KernelWork.streaming(kernel, elements, (double) what.bytes * elements, elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        return what.prepare(device, scope, scope.zeros(DType.F32, sizes.tokens(), sizes.hidden()));
      }
    };
  }

  static CudaOperation round(DType dtype) {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        String kernel = "quench_round_" + dtype.name().toLowerCase(Locale.ROOT);
        long elements = stream(sizes);
        return List.of(KernelWork.streaming(kernel, elements, 8.0 * elements, elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor x = scope.zeros(DType.F32, sizes.tokens(), sizes.hidden());
        return () -> device.round(x, dtype);
      }
    };
  }

  static CudaOperation rmsNorm() {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = stream(sizes);
        return List.of(
            KernelWork.streaming("quench_rms_norm_f32", elements, 8.0 * elements, 4.0 * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor x = scope.zeros(DType.F32, sizes.tokens(), sizes.hidden());
        Tensor y = scope.zeros(DType.F32, sizes.tokens(), sizes.hidden());
        Tensor weight = scope.zeros(DType.F32, 1, sizes.hidden());
        return () -> device.rmsNorm(x, weight, 1e-5f, y);
      }
    };
  }

  static CudaOperation gatedActivation() {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.tokens() * sizes.columns();
        return List.of(
            KernelWork.streaming(
                "quench_gated_silu_f32", elements, 12.0 * elements, 20.0 * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor gate = scope.zeros(DType.F32, sizes.tokens(), sizes.columns());
        Tensor up = scope.zeros(DType.F32, sizes.tokens(), sizes.columns());
        return () -> device.gatedActivation(Activation.SILU, gate, up, up);
      }
    };
  }

  private static final int ROPE_HEAD = 128;

  static CudaOperation rope() {
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = sizes.tokens() * sizes.heads() * ROPE_HEAD;
        return List.of(
            KernelWork.streaming("quench_rope_f32", elements, 8.0 * elements, 3.0 * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        int tokens = Math.toIntExact(sizes.tokens());
        int[] at = new int[tokens];
        for (int i = 0; i < tokens; i++) {
          at[i] = Math.toIntExact(i % sizes.length());
        }
        Tensor positions = scope.ints(at);
        Tensor x = scope.zeros(DType.F32, tokens, (long) sizes.heads() * ROPE_HEAD);
        Tensor cos = scope.zeros(DType.F32, sizes.length(), ROPE_HEAD / 2);
        Tensor sin = scope.zeros(DType.F32, sizes.length(), ROPE_HEAD / 2);
        return () -> device.rope(x, ROPE_HEAD, positions, cos, sin);
      }
    };
  }

  /** Causal attention with heads of so many columns. */
  static CudaOperation attention(int headDim) {
    boolean tensorCores = headDim > 32;
    return new CudaOperation() {
      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        String kernel = "quench_attention_f32_" + (tensorCores ? headDim : "narrow");
        long elements = sizes.tokens() * sizes.heads() * headDim;
        double keys = 2.0 * sizes.tokens() * sizes.keyHeads() * headDim;
        double scores = 0.5 * sizes.tokens() * (sizes.length() + 1) * sizes.heads();
        double flops = 4 * headDim * scores;
        return List.of(
            new KernelWork(
                kernel,
                1,
                elements,
                4 * (2.0 * elements + keys),
                tensorCores ? TF32_PRODUCTS * flops : flops,
                tensorCores ? Pipe.TF32 : Pipe.FP32));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        long width = (long) sizes.heads() * headDim;
        long keyWidth = (long) sizes.keyHeads() * headDim;
        Tensor q = scope.zeros(DType.F32, sizes.tokens(), width);
        Tensor k = scope.zeros(DType.F32, sizes.tokens(), keyWidth);
        Tensor v = scope.zeros(DType.F32, sizes.tokens(), keyWidth);
        Tensor y = scope.zeros(DType.F32, sizes.tokens(), width);
        long[] starts = new long[Math.toIntExact(sizes.tokens() / sizes.length()) + 1];
        for (int i = 0; i < starts.length; i++) {
          starts[i] = i * sizes.length();
        }
        AttentionSpec spec =
            new AttentionSpec(
                sizes.heads(), sizes.keyHeads(), headDim, (float) (1 / Math.sqrt(headDim)));
        return () -> device.attention(q, k, v, spec, starts, y);
      }
    };
  }

  static CudaOperation logProbability() {
    return new CudaOperation() {
      private long rows(CudaSizes sizes) {
        return Math.min(LOGIT_ROWS, sizes.tokens());
      }

      @Override
      public List<KernelWork> work(CudaSizes sizes) {
        long elements = rows(sizes) * sizes.vocabulary();
        return List.of(
            KernelWork.streaming(
                "quench_log_probability_f32", elements, 4.0 * elements, 20.0 * elements));
      }

      @Override
      public Runnable prepare(Device device, Scope scope, CudaSizes sizes) {
        Tensor logits = scope.zeros(DType.F32, rows(sizes), sizes.vocabulary());
        Tensor targets = scope.zeros(DType.I32, 1, rows(sizes));
        Tensor out = scope.zeros(DType.F32, 1, rows(sizes));
        return () -> device.logProbability(logits, targets, out);
      }
    };
  }
}
