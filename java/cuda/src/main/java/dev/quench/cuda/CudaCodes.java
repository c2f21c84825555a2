package dev.quench.cuda;

import dev.quench.quantization.BitPacking;
import dev.quench.quantization.CodeFormat;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import java.util.Optional;

/**
 * Where the codes of a matrix go, as kernels want to know it.
 *
 * @param packed densely; else a byte each
 */
record CudaCodes(CodeFormat format, int bits, boolean packed, CudaMatrix matrix) {

  static CudaCodes of(CudaMatrix x, QuantizationArgs args, CudaMatrix codes) {
    CodeFormat format = args.codeFormat();
    boolean packed = format.packedDtype().equals(Optional.of(codes.dtype()));
    if (!packed) {
      codes.require(format.dtype()).require(x.rows(), x.columns());
    } else if (format == CodeFormat.E2M1) {
      codes.require(x.rows(), Math.ceilDiv(x.columns(), 2));
    } else {
      codes.require(x.rows(), BitPacking.words(x.columns(), args.numBits()));
    }
    return new CudaCodes(format, args.numBits(), packed, codes);
  }

  /** The number by which kernels know a format: CodeFormat of kernels/quantize.cuh. */
  static int number(CodeFormat format) {
    return switch (format) {
      case INTEGER -> 0;
      case E4M3 -> 1;
      case E2M1 -> 2;
    };
  }

  /** To kernels of a format: the place; of integers their width too. */
  Arguments add(Arguments arguments) {
    addPlace(arguments);
    return format == CodeFormat.INTEGER ? arguments.ints(bits, packed ? 1 : 0) : arguments;
  }

  /** To kernels of a format whose width is known: the place, and whether codes are packed. */
  Arguments addByteCodes(Arguments arguments) {
    return addPlace(arguments).ints(packed ? 1 : 0);
  }

  /** To kernels of any format. */
  Arguments addAny(Arguments arguments) {
    return addPlace(arguments).ints(number(format), bits, packed ? 1 : 0);
  }

  /** The address, bytes of a stride, bytes of a row. */
  private Arguments addPlace(Arguments arguments) {
    DType dtype = matrix.dtype();
    return arguments
        .pointer(matrix.address())
        .longs(dtype.bytes(matrix.stride()))
        .ints(Math.toIntExact(dtype.bytes(matrix.columns())));
  }
}
