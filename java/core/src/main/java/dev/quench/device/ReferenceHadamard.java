package dev.quench.device;

import dev.quench.tensor.DType;

/** The Walsh-Hadamard transform by its matrix, in double precision, rounded once at the end. */
final class ReferenceHadamard {
  private ReferenceHadamard() {}

  static void hadamard(HostMatrix x, long size) {
    HadamardMatrix h = HadamardMatrix.of(size);
    requirePieces(x.require(DType.F32), size);
    double[] piece = new double[Math.toIntExact(size)];
    for (long row = 0; row < x.rows(); row++) {
      for (long start = 0; start < x.columns(); start += size) {
        for (int i = 0; i < size; i++) {
          piece[i] = FloatAccess.get(x, row, start + i);
        }
        for (int j = 0; j < size; j++) {
          double sum = 0;
          for (int i = 0; i < size; i++) {
            sum += h.sign(i, j) * piece[i];
          }
          FloatAccess.set(x, row, start + j, (float) (sum / Math.sqrt(size)));
        }
      }
    }
  }

  /** Refuses a matrix whose rows can't be cut into pieces of that size. */
  static void requirePieces(HostMatrix x, long size) {
    if (x.columns() % size != 0) {
      throw new IllegalArgumentException(x + " in pieces of " + size + " columns");
    }
  }
}
