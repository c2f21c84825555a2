package dev.quench.quantization;

import dev.quench.tensor.DType;
import dev.quench.tensor.Float4E2M1;
import dev.quench.tensor.Float8E4M3;
import java.util.Optional;

/** What a code stands for. */
public enum CodeFormat {
  /** A two's complement integer. */
  INTEGER(DType.I8, Optional.of(DType.I32)) {
    @Override
    public byte fromFloat(float value) {
      return (byte) Math.rint(value);
    }

    @Override
    public float toFloat(byte code) {
      return code;
    }
  },
  /** An 8-bit float. */
  E4M3(DType.F8_E4M3, Optional.empty()) {
    @Override
    public byte fromFloat(float value) {
      return Float8E4M3.fromFloat(value);
    }

    @Override
    public float toFloat(byte code) {
      return Float8E4M3.toFloat(code);
    }
  },
  /** A 4-bit float, in the low half of a byte where it isn't packed. */
  E2M1(DType.I8, Optional.of(DType.U8)) {
    @Override
    public byte fromFloat(float value) {
      return Float4E2M1.fromFloat(value);
    }

    @Override
    public float toFloat(byte code) {
      return Float4E2M1.toFloat(code);
    }
  };

  private final DType dtype;
  private final Optional<DType> packedDtype;

  CodeFormat(DType dtype, Optional<DType> packedDtype) {
    this.dtype = dtype;
    this.packedDtype = packedDtype;
  }

  /** Element type of tensors that hold one code an element. */
  public DType dtype() {
    return dtype;
  }

  /** Element type of tensors that hold codes packed densely; none if codes fill their bytes. */
  public Optional<DType> packedDtype() {
    return packedDtype;
  }

  /**
   * The code nearest to a value in range, ties to even; of NaN 0, or NaN if there is such a code.
   */
  public abstract byte fromFloat(float value);

  /** The exact value of a code. */
  public abstract float toFloat(byte code);
}
