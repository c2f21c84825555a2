package dev.quench.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.quench.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A {@code CUtensorMap}: how the tensor memory accelerator of sm_90 cuts a matrix into boxes.
 * Elements outside the matrix are read as 0 and not written.
 *
 * @param content the 128 bytes that the driver made
 * @param address of the matrix
 */
record TensorMap(MemorySegment content, long address, String description) {
  static final long BYTES = 128;
  static final long ALIGNMENT = 64;

  /** How the 16-byte pieces of a box's row are permuted in shared memory. */
  enum Swizzle {
    NONE(0, Integer.MAX_VALUE),
    BYTES_32(1, 32),
    BYTES_64(2, 64),
    BYTES_128(3, 128);

    private final int code;
    private final int maxRowBytes;

    Swizzle(int code, int maxRowBytes) {
      this.code = code;
      this.maxRowBytes = maxRowBytes;
    }
  }

  /** {@code CU_TENSOR_MAP_L2_PROMOTION_L2_128B}. */
  private static final int L2_128B = 2;

  /** Whether the matrix lies as tensor maps demand: aligned to 16 bytes, each row too. */
  static boolean fits(CudaMatrix matrix) {
    return matrix.address() % 16 == 0 && matrix.dtype().bytes(matrix.stride()) % 16 == 0;
  }

  static TensorMap of(
      CudaDriver driver, CudaMatrix matrix, int boxRows, int boxColumns, Swizzle swizzle) {
    if (!fits(matrix)
        || boxRows < 1
        || boxRows > 256
        || boxColumns < 1
        || boxColumns > 256
        || matrix.dtype().bytes(boxColumns) > swizzle.maxRowBytes) {
      throw new IllegalArgumentException(
          "a tensor map of %s at 0x%x in boxes of %d × %d with swizzle %s"
              .formatted(matrix, matrix.address(), boxRows, boxColumns, swizzle));
    }
    MemorySegment content = Arena.ofAuto().allocate(BYTES, ALIGNMENT);
    String description = matrix + " in boxes of " + boxRows + " × " + boxColumns;
    try (Arena arena = Arena.ofConfined()) {
      Status.check(
          driver.tensorMapEncodeTiled(
              content,
              dataType(matrix.dtype()),
              2,
              matrix.address(),
              arena.allocateFrom(JAVA_LONG, matrix.columns(), matrix.rows()),
              arena.allocateFrom(JAVA_LONG, matrix.dtype().bytes(matrix.stride())),
              arena.allocateFrom(JAVA_INT, boxColumns, boxRows),
              arena.allocateFrom(JAVA_INT, 1, 1),
              swizzle.code,
              L2_128B),
          () -> "cuTensorMapEncodeTiled of " + description,
          driver);
    }
    return new TensorMap(content, matrix.address(), description);
  }

  /** {@code CUtensorMapDataType}. */
  private static int dataType(DType dtype) {
    return switch (dtype) {
      case I8, U8, F8_E4M3 -> 0;
      case I32 -> 3;
      case F16 -> 6;
      case F32 -> 7;
      case BF16 -> 9;
      default -> throw new IllegalArgumentException("a tensor map of " + dtype);
    };
  }

  @Override
  public String toString() {
    return "tensor map of " + description;
  }
}
