package dev.quench.device;

import dev.quench.tensor.DType;

/**
 * Parts of a decoder's forward pass by their formulas; what isn't exact is computed in double
 * precision.
 */
final class ReferenceModel {
  private ReferenceModel() {}

  static void add(HostMatrix x, HostMatrix y) {
    y.require(DType.F32);
    x.require(DType.F32).require(y.rows(), y.columns());
    for (long r = 0; r < y.rows(); r++) {
      for (long c = 0; c < y.columns(); c++) {
        FloatAccess.set(y, r, c, FloatAccess.get(y, r, c) + FloatAccess.get(x, r, c));
      }
    }
  }

  static void addRow(HostMatrix bias, HostMatrix y) {
    y.require(DType.F32);
    bias.require(DType.F32).require(1, y.columns());
    for (long r = 0; r < y.rows(); r++) {
      for (long c = 0; c < y.columns(); c++) {
        FloatAccess.set(y, r, c, FloatAccess.get(y, r, c) + FloatAccess.get(bias, 0, c));
      }
    }
  }

  static void rmsNorm(HostMatrix x, HostMatrix weight, float epsilon, HostMatrix y) {
    x.require(DType.F32);
    weight.require(DType.F32).require(1, x.columns());
    y.require(DType.F32).require(x.rows(), x.columns());
    for (long r = 0; r < x.rows(); r++) {
      double squares = 0;
      for (long c = 0; c < x.columns(); c++) {
        double value = FloatAccess.get(x, r, c);
        squares += value * value;
      }
      double norm = Math.sqrt(squares / x.columns() + epsilon);
      for (long c = 0; c < x.columns(); c++) {
        double value = FloatAccess.get(x, r, c) / norm * FloatAccess.get(weight, 0, c);
        FloatAccess.set(y, r, c, (float) value);
      }
    }
  }

  static void rope(
      HostMatrix x, int headDim, HostMatrix positions, HostMatrix cos, HostMatrix sin) {
    long half = cos.columns();
    x.require(DType.F32);
    positions.require(DType.I32).require(1, x.rows());
    cos.require(DType.F32);
    sin.require(DType.F32).require(cos.rows(), half);
    if (x.columns() % headDim != 0 || 2 * half > headDim) {
      throw new IllegalArgumentException(x + " in heads of " + headDim + ", turned by " + cos);
    }
    for (long token = 0; token < x.rows(); token++) {
      int position = FloatAccess.getInt(positions, token);
      for (long head = 0; head < x.columns(); head += headDim) {
        for (long i = 0; i < half; i++) {
          double a = FloatAccess.get(x, token, head + i);
          double b = FloatAccess.get(x, token, head + half + i);
          double c = FloatAccess.get(cos, position, i);
          double s = FloatAccess.get(sin, position, i);
          FloatAccess.set(x, token, head + i, (float) (a * c - b * s));
          FloatAccess.set(x, token, head + half + i, (float) (b * c + a * s));
        }
      }
    }
  }

  static void attention(
      HostMatrix q, HostMatrix k, HostMatrix v, AttentionSpec spec, long[] starts, HostMatrix y) {
    long tokens = starts[starts.length - 1];
    long width = (long) spec.heads() * spec.headDim();
    long keyWidth = (long) spec.keyHeads() * spec.headDim();
    q.require(DType.F32).require(tokens, width);
    k.require(DType.F32).require(tokens, keyWidth);
    v.require(DType.F32).require(tokens, keyWidth);
    y.require(DType.F32).require(tokens, width);
    for (int sequence = 0; sequence + 1 < starts.length; sequence++) {
      for (long token = starts[sequence]; token < starts[sequence + 1]; token++) {
        for (int head = 0; head < spec.heads(); head++) {
          attend(q, k, v, spec, head, starts[sequence], token, y);
        }
      }
    }
  }

  /** One query of one head over the keys from its sequence's start to itself. */
  private static void attend(
      HostMatrix q,
      HostMatrix k,
      HostMatrix v,
      AttentionSpec spec,
      int head,
      long start,
      long token,
      HostMatrix y) {
    long column = (long) head * spec.headDim();
    long keyColumn = (long) (head / (spec.heads() / spec.keyHeads())) * spec.headDim();
    double[] weights = new double[Math.toIntExact(token - start + 1)];
    double max = Double.NEGATIVE_INFINITY;
    for (int j = 0; j < weights.length; j++) {
      double score = 0;
      for (long d = 0; d < spec.headDim(); d++) {
        score +=
            (double) FloatAccess.get(q, token, column + d)
                * FloatAccess.get(k, start + j, keyColumn + d);
      }
      weights[j] = score * spec.scale();
      max = Math.max(max, weights[j]);
    }
    double sum = 0;
    for (int j = 0; j < weights.length; j++) {
      weights[j] = Math.exp(weights[j] - max);
      sum += weights[j];
    }
    for (long d = 0; d < spec.headDim(); d++) {
      double value = 0;
      for (int j = 0; j < weights.length; j++) {
        value += weights[j] / sum * FloatAccess.get(v, start + j, keyColumn + d);
      }
      FloatAccess.set(y, token, column + d, (float) value);
    }
  }

  static void gatedActivation(Activation activation, HostMatrix gate, HostMatrix up, HostMatrix y) {
    y.require(DType.F32);
    gate.require(DType.F32).require(y.rows(), y.columns());
    up.require(DType.F32).require(y.rows(), y.columns());
    for (long r = 0; r < y.rows(); r++) {
      for (long c = 0; c < y.columns(); c++) {
        double x = FloatAccess.get(gate, r, c);
        double activated =
            switch (activation) {
              case SILU -> x / (1 + Math.exp(-x));
            };
        FloatAccess.set(y, r, c, (float) (activated * FloatAccess.get(up, r, c)));
      }
    }
  }

  static void logProbability(HostMatrix logits, HostMatrix targets, HostMatrix out) {
    logits.require(DType.F32);
    targets.require(DType.I32).require(1, logits.rows());
    out.require(DType.F32).require(1, logits.rows());
    for (long r = 0; r < logits.rows(); r++) {
      double max = Double.NEGATIVE_INFINITY;
      for (long c = 0; c < logits.columns(); c++) {
        max = Math.max(max, FloatAccess.get(logits, r, c));
      }
      double sum = 0;
      for (long c = 0; c < logits.columns(); c++) {
        sum += Math.exp(FloatAccess.get(logits, r, c) - max);
      }
      double logit = FloatAccess.get(logits, r, FloatAccess.getInt(targets, r));
      FloatAccess.set(out, 0, r, (float) (logit - max - Math.log(sum)));
    }
  }
}
