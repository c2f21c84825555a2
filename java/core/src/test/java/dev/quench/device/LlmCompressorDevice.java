package dev.quench.device;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import dev.quench.quantization.Rounding;
import dev.quench.tensor.DType;
import dev.quench.tensor.Float8E4M3;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * GPTQ with llm-compressor's arithmetic on a processor, bit for bit but for the factorization of
 * Hessians. That is done by MKL, whose order of sums depends on the processor, the size and the
 * number of threads; where a factor that MKL computed is at hand, it is taken.
 *
 * <p>One code that goes another way changes the input of all that follows by roundings of bfloat16,
 * after which some percent of the 8-bit codes of the next layer differ. So the factors matter to
 * the last bit.
 */
public final class LlmCompressorDevice extends TorchBfloat16Device {
  private final List<float[][]> factors;
  private Optional<float[][]> pending = Optional.empty();

  /**
   * @param factors upper triangles, row by row, of U with {@code H⁻¹ = Uᵀ·U}, for multiples of the
   *     Hessians whose factors are known
   */
  public LlmCompressorDevice(CpuDevice device, List<float[]> factors) {
    super(device);
    this.factors = factors.stream().map(LlmCompressorDevice::square).toList();
  }

  /** What a block's errors do to the columns after it: a sum of its own, then subtracted. */
  @Override
  public void gemm(
      float alpha,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      float beta,
      Tensor c) {
    boolean update = alpha == -1 && transposeA && !transposeB && beta == 1;
    if (!update) {
      super.gemm(alpha, a, transposeA, b, transposeB, beta, c);
      return;
    }
    float[][] coupling = Rows.read(a);
    float[][] errors = Rows.read(b);
    float[][] weights = Rows.read(c);
    for (int j = 0; j < weights.length; j++) {
      float[] sums = new float[weights[j].length];
      for (int i = 0; i < errors.length; i++) {
        for (int o = 0; o < sums.length; o++) {
          sums[o] = Math.fma(errors[i][o], coupling[i][j], sums[o]);
        }
      }
      for (int o = 0; o < sums.length; o++) {
        weights[j][o] -= sums[o];
      }
    }
    Rows.write(weights, c);
  }

  /** Adds the product of √2·x with itself, a sum of its own over the tokens. */
  @Override
  public void syrk(Tensor x, Tensor h) {
    float[][] tokens = Rows.read(x);
    float[][] hessian = Rows.read(h);
    for (float[] token : tokens) {
      for (int i = 0; i < token.length; i++) {
        token[i] *= (float) Math.sqrt(2);
      }
    }
    for (int i = 0; i < hessian.length; i++) {
      float[] sums = new float[i + 1];
      for (float[] token : tokens) {
        for (int j = 0; j <= i; j++) {
          sums[j] = Math.fma(token[i], token[j], sums[j]);
        }
      }
      for (int j = 0; j <= i; j++) {
        hessian[i][j] += sums[j];
      }
    }
    Rows.write(hessian, h);
  }

  /** Products are rounded before they are subtracted. */
  @Override
  public void gptqBlock(
      Tensor w,
      Tensor u,
      Tensor scale,
      Tensor zeroPoint,
      Tensor group,
      QuantizationArgs args,
      DType roundTo,
      Tensor codes,
      Tensor error,
      Tensor loss) {
    float[][] weights = Rows.read(w);
    float[][] factor = Rows.read(u);
    float[][] scales = Rows.read(scale);
    float[][] zeroPoints = Rows.read(zeroPoint);
    float[][] losses = Rows.read(loss);
    float[][] errors = new float[weights.length][losses[0].length];
    for (int i = 0; i < weights.length; i++) {
      int g = FloatAccess.getInt(HostMatrix.of(group), i);
      for (int o = 0; o < errors[i].length; o++) {
        float s = scales[g][o];
        float z = zeroPoints[g][o];
        byte code = Rounding.code(weights[i][o], s, z, args, DType.F32);
        float q = args.type() == Type.INT ? code : Float8E4M3.toFloat(code);
        float e = (weights[i][o] - Rounding.to(roundTo, (q - z) * s)) / factor[i][i];
        FloatAccess.setByte(HostMatrix.of(codes), i, o, code);
        errors[i][o] = e;
        losses[0][o] += e * e;
        for (int j = i + 1; j < weights.length; j++) {
          weights[j][o] -= e * factor[i][j];
        }
      }
    }
    Rows.write(errors, error);
    Rows.write(losses, loss);
  }

  @Override
  public OptionalLong reverseCholesky(Tensor h) {
    double[][] hessian = mirrored(Matrices.doubles(HostMatrix.of(h)));
    pending = factors.stream().filter(factor -> fits(factor, hessian)).findFirst();
    return pending.isPresent()
        ? OptionalLong.empty()
        : ReferenceMatrixProducts.reverseCholesky(HostMatrix.of(h));
  }

  /** Finishes what {@link #reverseCholesky} began. */
  @Override
  public void invertUpper(Tensor r) {
    pending.ifPresentOrElse(
        factor -> Rows.write(factor, r),
        () -> ReferenceMatrixProducts.invertUpper(HostMatrix.of(r)));
    pending = Optional.empty();
  }

  /**
   * Whether {@code U·H·Uᵀ} is a multiple of the identity, up to what the roundings of three
   * factorizations leave: n+1 in a sum each.
   */
  private static boolean fits(float[][] factor, double[][] hessian) {
    int n = hessian.length;
    if (factor.length != n) {
      return false;
    }
    double[][] u = new double[n][n];
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        u[i][j] = factor[i][j];
      }
    }
    double[][] product = Matrices.product(Matrices.product(u, hessian), Matrices.transpose(u));
    double multiple = product[0][0];
    double worst = 0;
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        worst = Math.max(worst, Math.abs(product[i][j] / multiple - (i == j ? 1 : 0)));
      }
    }
    return worst <= 3 * (n + 1) * 0x1p-24;
  }

  /** A symmetric matrix of which the upper triangle is given. */
  private static double[][] mirrored(double[][] upper) {
    double[][] whole = Arrays.stream(upper).map(double[]::clone).toArray(double[][]::new);
    for (int i = 0; i < whole.length; i++) {
      for (int j = 0; j < i; j++) {
        whole[i][j] = upper[j][i];
      }
    }
    return whole;
  }

  private static float[][] square(float[] triangle) {
    int n = (int) Math.sqrt(2.0 * triangle.length);
    if (n * (n + 1) / 2 != triangle.length) {
      throw new IllegalArgumentException(triangle.length + " elements aren't a triangle");
    }
    float[][] upper = new float[n][n];
    int at = 0;
    for (int i = 0; i < n; i++) {
      for (int j = i; j < n; j++) {
        upper[i][j] = triangle[at++];
      }
    }
    return upper;
  }
}
