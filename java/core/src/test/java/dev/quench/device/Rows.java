package dev.quench.device;

import dev.quench.tensor.DType;

/** An F32 tensor as arrays, for code that isn't about memory. */
final class Rows {
  private Rows() {}

  static float[][] read(Tensor tensor) {
    HostMatrix matrix = HostMatrix.of(tensor).require(DType.F32);
    float[][] rows = new float[Math.toIntExact(matrix.rows())][Math.toIntExact(matrix.columns())];
    for (int r = 0; r < rows.length; r++) {
      for (int c = 0; c < rows[r].length; c++) {
        rows[r][c] = FloatAccess.get(matrix, r, c);
      }
    }
    return rows;
  }

  static void write(float[][] rows, Tensor tensor) {
    HostMatrix matrix = HostMatrix.of(tensor).require(DType.F32);
    matrix.require(rows.length, rows[0].length);
    for (int r = 0; r < rows.length; r++) {
      for (int c = 0; c < rows[r].length; c++) {
        FloatAccess.set(matrix, r, c, rows[r][c]);
      }
    }
  }
}
