package dev.quench.checkpoint;

import dev.quench.tensor.DType;
import dev.quench.tensor.Shape;
import java.nio.file.Path;
import java.util.Optional;

/**
 * A tensor of a safetensors file.
 *
 * @param file it is in; of a decoded one, the first part of what it is decoded from
 * @param offset of its first byte from the start of the file; of no meaning if it is decoded
 * @param bytes its length
 * @param decoder gives the tensor, if it isn't stored as it is
 */
public record TensorInfo(
    String name,
    DType dtype,
    Shape shape,
    Path file,
    long offset,
    long bytes,
    Optional<TensorDecoder> decoder) {

  /** A tensor that is stored as it is. */
  public TensorInfo(String name, DType dtype, Shape shape, Path file, long offset, long bytes) {
    this(name, dtype, shape, file, offset, bytes, Optional.empty());
  }

  /** A tensor that is computed when it is read. */
  public static TensorInfo decoded(
      String name, DType dtype, Shape shape, Path file, TensorDecoder decoder) {
    return new TensorInfo(
        name, dtype, shape, file, 0, dtype.bytes(shape.elements()), Optional.of(decoder));
  }

  /** The same content under another name. */
  public TensorInfo withName(String other) {
    return new TensorInfo(other, dtype, shape, file, offset, bytes, decoder);
  }
}
