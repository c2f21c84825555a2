package dev.quench.device;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;

/**
 * A matrix that a tested operation reads or writes.
 *
 * @param content its bytes, dense
 * @param written if the operation may change it; what it only reads must stay as it is
 */
record Operand(DType dtype, int rows, int columns, byte[] content, boolean written) {

  /** Kinds of floats, each meant to reach other corners of an operation. */
  enum Kind {
    /** Normally distributed. */
    PLAIN,
    /** Multiples of ½ and powers of two: ties of integers and of small floats. */
    TIES,
    /** Mostly zeros of both signs, and subnormals. */
    ZEROS,
    /** Any bit pattern: infinities and NaNs, the largest and the smallest numbers. */
    BITS,
    /** Normally distributed, but for a few of any bit pattern. */
    MIXED
  }

  static Operand floats(DType dtype, int rows, int columns, IntToDoubleFunction value) {
    HostMatrix matrix = blank(dtype, rows, columns);
    for (int i = 0; i < rows * columns; i++) {
      FloatAccess.set(dtype, matrix.memory(), 0, i, (float) value.applyAsDouble(i));
    }
    return input(matrix);
  }

  static Operand floats(DType dtype, int rows, int columns, Kind kind, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return switch (kind) {
      case PLAIN -> floats(dtype, rows, columns, i -> random.nextGaussian());
      case TIES ->
          floats(
              dtype,
              rows,
              columns,
              i -> 0.5 * random.nextInt(-300, 301) * Math.scalb(1.0, -random.nextInt(0, 14)));
      case ZEROS ->
          floats(
              dtype,
              rows,
              columns,
              i ->
                  switch (random.nextInt(8)) {
                    case 0 -> Math.scalb(random.nextGaussian(), dtype == DType.F16 ? -20 : -136);
                    case 1, 2 -> -0.0;
                    default -> 0.0;
                  });
      case BITS -> bytes(dtype, rows, columns, seed);
      case MIXED -> {
        Operand bits = bytes(dtype, rows, columns, seed);
        yield floats(
            dtype,
            rows,
            columns,
            i ->
                random.nextInt(200) == 0
                    ? bits.get(i / columns, i % columns)
                    : random.nextGaussian());
      }
    };
  }

  /** Random bytes. */
  static Operand bytes(DType dtype, int rows, int columns, long seed) {
    byte[] content = new byte[Math.toIntExact(dtype.bytes((long) rows * columns))];
    new Random(seed).nextBytes(content);
    return new Operand(dtype, rows, columns, content, false);
  }

  static Operand ints(int... values) {
    HostMatrix matrix = blank(DType.I32, 1, values.length);
    MemorySegment.copy(values, 0, matrix.memory(), JAVA_INT_UNALIGNED, 0, values.length);
    return input(matrix);
  }

  /** An operand to be written, whose old content shows if it is read or left: all bits are 1. */
  static Operand output(DType dtype, int rows, int columns) {
    byte[] content = new byte[Math.toIntExact(dtype.bytes((long) rows * columns))];
    Arrays.fill(content, (byte) 0xFF);
    return new Operand(dtype, rows, columns, content, true);
  }

  /** The same, to be changed in place. */
  Operand inPlace() {
    return new Operand(dtype, rows, columns, content, true);
  }

  private static HostMatrix blank(DType dtype, int rows, int columns) {
    byte[] bytes = new byte[Math.toIntExact(dtype.bytes((long) rows * columns))];
    return HostMatrix.dense(dtype, rows, columns, MemorySegment.ofArray(bytes));
  }

  private static Operand input(HostMatrix matrix) {
    byte[] content = (byte[]) matrix.memory().heapBase().orElseThrow();
    return new Operand(matrix.dtype(), (int) matrix.rows(), (int) matrix.columns(), content, false);
  }

  float get(int row, int column) {
    return FloatAccess.get(dtype, MemorySegment.ofArray(content), 0, (long) row * columns + column);
  }

  /** Values of an F32 matrix. */
  double[][] doubles() {
    double[][] values = new double[rows][columns];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        values[r][c] = get(r, c);
      }
    }
    return values;
  }

  HostTensor onHost(Arena arena) {
    MemorySegment memory = arena.allocate(content.length, 64);
    MemorySegment.copy(MemorySegment.ofArray(content), 0, memory, 0, content.length);
    return new HostTensor(dtype, Shape.of(rows, columns), memory);
  }

  /**
   * The content with all NaNs of one kind made the same: IEEE 754 leaves open which NaN an
   * operation gives.
   */
  byte[] withOneNan() {
    byte[] result = content.clone();
    MemorySegment memory = MemorySegment.ofArray(result);
    for (int i = 0; i < rows * columns; i++) {
      switch (dtype) {
        case F32, F16, BF16 -> {
          if (Float.isNaN(FloatAccess.get(dtype, memory, 0, i))) {
            FloatAccess.set(dtype, memory, 0, i, Float.NaN);
          }
        }
        case F8_E4M3 -> result[i] = (result[i] & 0x7F) == 0x7F ? 0x7F : result[i];
        default -> {}
      }
    }
    return result;
  }

  @Override
  public String toString() {
    return dtype + " [" + rows + ", " + columns + "]";
  }
}
