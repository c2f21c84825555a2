package dev.quench.device;

import dev.quench.tensor.Bfloat16;

/**
 * A forward pass as PyTorch computes it in bfloat16 on a processor with AVX2, bit for bit, where
 * the caller rounds the result of each operation to bfloat16: {@link TorchBfloat16} inside a
 * model's operations, which round where transformers' eager code ends an operation. Everything else
 * is {@link CpuDevice}'s.
 */
public class TorchBfloat16Device extends DelegatingDevice {
  public TorchBfloat16Device(CpuDevice device) {
    super(device);
  }

  @Override
  public String description() {
    return "the bfloat16 arithmetic of PyTorch on " + super.description();
  }

  /** A linear, {@code c = a·bᵀ}; other products are not the model's. */
  @Override
  public void gemm(
      float alpha,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      float beta,
      Tensor c) {
    boolean linear = alpha == 1 && !transposeA && transposeB && beta == 0;
    if (!linear) {
      super.gemm(alpha, a, transposeA, b, transposeB, beta, c);
      return;
    }
    float[][] left = Rows.read(a);
    float[][] right = Rows.read(b);
    float[][] product = new float[left.length][right.length];
    for (int i = 0; i < left.length; i++) {
      for (int j = 0; j < right.length; j++) {
        product[i][j] = TorchBfloat16.dot(left[i], right[j]);
      }
    }
    Rows.write(product, c);
  }

  @Override
  public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    float[][] rows = Rows.read(x);
    float[] factors = Rows.read(weight)[0];
    for (float[] row : rows) {
      float norm = TorchBfloat16.reciprocalNorm(row, epsilon);
      for (int i = 0; i < row.length; i++) {
        row[i] = row[i] * norm * factors[i];
      }
    }
    Rows.write(rows, y);
  }

  /** Both products are rounded before they are added. */
  @Override
  public void rope(Tensor x, int headDim, Tensor positions, Tensor cos, Tensor sin) {
    float[][] rows = Rows.read(x);
    float[][] cosines = Rows.read(cos);
    float[][] sines = Rows.read(sin);
    int half = cosines[0].length;
    for (int token = 0; token < rows.length; token++) {
      float[] row = rows[token];
      int position = FloatAccess.getInt(HostMatrix.of(positions), token);
      for (int head = 0; head < row.length; head += headDim) {
        for (int i = 0; i < half; i++) {
          float c = cosines[position][i];
          float s = sines[position][i];
          float first = row[head + i];
          float second = row[head + half + i];
          row[head + i] = Bfloat16.round(first * c) + Bfloat16.round(-second * s);
          row[head + half + i] = Bfloat16.round(second * c) + Bfloat16.round(first * s);
        }
      }
    }
    Rows.write(rows, x);
  }

  /** Scores, scaled scores and probabilities are rounded, as tensors of their own. */
  @Override
  public void attention(Tensor q, Tensor k, Tensor v, AttentionSpec spec, long[] starts, Tensor y) {
    int headDim = spec.headDim();
    int group = spec.heads() / spec.keyHeads();
    float[][] attended = new float[Math.toIntExact(q.rows())][Math.toIntExact(q.columns())];
    for (int head = 0; head < spec.heads(); head++) {
      float[][] queries = Rows.read(q.columns((long) head * headDim, headDim));
      float[][] keys = Rows.read(k.columns((long) (head / group) * headDim, headDim));
      float[][] values = Rows.read(v.columns((long) (head / group) * headDim, headDim));
      for (int sequence = 0; sequence + 1 < starts.length; sequence++) {
        int from = Math.toIntExact(starts[sequence]);
        int to = Math.toIntExact(starts[sequence + 1]);
        for (int token = from; token < to; token++) {
          float[] weights = new float[to - from];
          for (int j = from; j <= token; j++) {
            float score = Bfloat16.round(TorchBfloat16.dot(queries[token], keys[j]));
            weights[j - from] = Bfloat16.round(score * spec.scale());
          }
          TorchBfloat16.softmax(weights, token - from + 1);
          roundAll(weights);
          for (int d = 0; d < headDim; d++) {
            attended[token][head * headDim + d] =
                TorchBfloat16.weightedSum(weights, values, from, d);
          }
        }
      }
    }
    Rows.write(attended, y);
  }

  /** The activation is rounded before it is multiplied. */
  @Override
  public void gatedActivation(Activation activation, Tensor gate, Tensor up, Tensor y) {
    float[][] rows = Rows.read(gate);
    float[][] factors = Rows.read(up);
    for (int r = 0; r < rows.length; r++) {
      for (int i = 0; i < rows[r].length; i++) {
        rows[r][i] =
            switch (activation) {
                  case SILU -> TorchBfloat16.silu(rows[r][i]);
                }
                * factors[r][i];
      }
    }
    Rows.write(rows, y);
  }

  private static void roundAll(float[] x) {
    for (int i = 0; i < x.length; i++) {
      x[i] = Bfloat16.round(x[i]);
    }
  }
}
