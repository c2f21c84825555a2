package dev.quench.cuda;

import dev.quench.device.Scope;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Owner of tensors on the CUDA device. */
public final class CudaScope implements Scope {
  private final CudaMemory memory;
  private final List<DevicePool.Block> blocks = new ArrayList<>();

  CudaScope(CudaMemory memory) {
    this.memory = memory;
  }

  @Override
  public CudaMatrix allocate(DType dtype, long rows, long columns) {
    long bytes = dtype.bytes(Math.multiplyExact(rows, columns));
    DevicePool.Block block = memory.take(bytes, dtype + " [" + rows + ", " + columns + "]");
    blocks.add(block);
    return CudaMatrix.dense(dtype, rows, columns, block.address());
  }

  @Override
  public CudaMatrix zeros(DType dtype, long rows, long columns) {
    CudaMatrix matrix = allocate(dtype, rows, columns);
    memory.fillZero(matrix);
    return matrix;
  }

  @Override
  public CudaMatrix upload(HostTensor source) {
    CudaMatrix matrix = allocate(source.dtype(), source.rows(), source.columns());
    memory.upload(source.data(), matrix, blocks.getLast());
    return matrix;
  }

  @Override
  public CudaMatrix floats(float... values) {
    CudaMatrix matrix = allocate(DType.F32, 1, values.length);
    memory.upload(MemorySegment.ofArray(values), matrix, blocks.getLast());
    return matrix;
  }

  @Override
  public CudaMatrix ints(int... values) {
    CudaMatrix matrix = allocate(DType.I32, 1, values.length);
    memory.upload(MemorySegment.ofArray(values), matrix, blocks.getLast());
    return matrix;
  }

  @Override
  public void close() {
    List<DevicePool.Block> given = List.copyOf(blocks);
    blocks.clear();
    memory.give(given);
  }
}
