package dev.quench.checkpoint;

import dev.quench.tensor.DType;
import dev.quench.tensor.Shape;
import java.nio.file.Path;

/**
 * A tensor of a safetensors file.
 *
 * @param offset of its first byte from the start of the file
 * @param bytes its length
 */
public record TensorInfo(
    String name, DType dtype, Shape shape, Path file, long offset, long bytes) {}
