package dev.quench.modifier;

import dev.quench.QuenchException;
import dev.quench.calibration.Hessian;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * What GPTQ needs of a Hessian: an order of the columns, and the upper triangular U with H⁻¹ = Uᵀ·U
 * for the Hessian in that order, damped. All linears that share the input share it.
 *
 * @param u F32 [n, n], upper triangular
 * @param order {@code order[i]} is the column that comes as the i-th
 * @param dead positions in {@code order} of columns whose input was always zero: their weights
 *     don't matter
 * @param dampings how often the damping had to be raised tenfold until the factorization succeeded
 */
record InverseFactor(Tensor u, int[] order, int[] dead, int dampings) {
  /** How often the damping is raised before giving up. */
  private static final int MAX_DAMPINGS = 3;

  /**
   * @param damping added to the diagonal, as a fraction of its mean
   * @param byImportance columns with a large diagonal entry first (act-order); else as they are
   * @param where the module or step, for messages
   * @return empty if H isn't positive definite even with the damping raised
   * @throws QuenchException if H holds NaN or infinity
   */
  static Optional<InverseFactor> of(
      Device device,
      Hessian hessian,
      double damping,
      boolean byImportance,
      String where,
      Scope scope) {
    int n = Math.toIntExact(hessian.features());
    float[] diagonal = diagonal(device, hessian.sum(), scope);
    for (int i = 0; i < n; i++) {
      if (!Float.isFinite(diagonal[i])) {
        throw new QuenchException(
            "%s: input channel %d holds NaN or infinite values; the calibration can't go on. Look for NaN or Inf in the weights of the layers before it, or for activations beyond float32."
                .formatted(where, i));
      }
    }
    int[] order = byImportance ? descending(diagonal) : IntStream.range(0, n).toArray();
    int[] dead = IntStream.range(0, n).filter(i -> diagonal[order[i]] == 0).toArray();
    float[] ordered = new float[n];
    for (int i = 0; i < n; i++) {
      float entry = diagonal[order[i]];
      ordered[i] = entry == 0 ? 1 : entry;
    }
    double mean = IntStream.range(0, n).mapToDouble(i -> ordered[i]).average().orElse(0);

    Tensor index = scope.ints(order);
    Tensor u = scope.allocate(DType.F32, n, n);
    for (int dampings = 0; dampings <= MAX_DAMPINGS; dampings++) {
      double added = damping * Math.pow(10, dampings) * mean;
      float[] damped = new float[n];
      for (int i = 0; i < n; i++) {
        damped[i] = (float) (ordered[i] + added);
      }
      device.gatherSymmetric(hessian.sum(), index, u);
      device.setDiagonal(scope.floats(damped), u);
      if (device.reverseCholesky(u).isEmpty()) {
        device.invertUpper(u);
        return Optional.of(new InverseFactor(u, order, dead, dampings));
      }
    }
    return Optional.empty();
  }

  /** The inverse permutation: {@code position()[c]} is when column c comes. */
  int[] position() {
    int[] position = new int[order.length];
    for (int i = 0; i < order.length; i++) {
      position[order[i]] = i;
    }
    return position;
  }

  private static float[] diagonal(Device device, Tensor matrix, Scope scope) {
    long n = matrix.rows();
    Tensor values = scope.allocate(DType.F32, 1, n);
    device.diagonal(matrix, values);
    try (Arena arena = Arena.ofConfined()) {
      HostTensor host =
          new HostTensor(DType.F32, Shape.of(1, n), arena.allocate(n * Float.BYTES, 64));
      device.download(values, host);
      return host.data().toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  /** Indices by descending value; equal values keep their order, so that the result is unique. */
  private static int[] descending(float[] values) {
    Integer[] order = IntStream.range(0, values.length).boxed().toArray(Integer[]::new);
    Arrays.sort(order, (a, b) -> Float.compare(values[b], values[a]));
    return Arrays.stream(order).mapToInt(Integer::intValue).toArray();
  }
}
