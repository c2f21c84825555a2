package dev.quench.device;

import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** Scope of the devices that work in host memory: uploads share the source's memory. */
final class HostScope implements Scope {
  private final HostPool pool;
  private final List<HostPool.Buffer> buffers = new ArrayList<>();

  HostScope(HostPool pool) {
    this.pool = pool;
  }

  @Override
  public HostMatrix allocate(DType dtype, long rows, long columns) {
    long bytes = dtype.bytes(Math.multiplyExact(rows, columns));
    HostPool.Buffer buffer = pool.take(bytes);
    buffers.add(buffer);
    return HostMatrix.dense(dtype, rows, columns, buffer.memory().asSlice(0, bytes));
  }

  @Override
  public HostMatrix zeros(DType dtype, long rows, long columns) {
    HostMatrix matrix = allocate(dtype, rows, columns);
    matrix.memory().fill((byte) 0);
    return matrix;
  }

  @Override
  public HostMatrix upload(HostTensor source) {
    return HostMatrix.dense(source.dtype(), source.rows(), source.columns(), source.data());
  }

  @Override
  public HostMatrix floats(float... values) {
    HostMatrix matrix = allocate(DType.F32, 1, values.length);
    for (int i = 0; i < values.length; i++) {
      matrix.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, values[i]);
    }
    return matrix;
  }

  @Override
  public HostMatrix ints(int... values) {
    HostMatrix matrix = allocate(DType.I32, 1, values.length);
    for (int i = 0; i < values.length; i++) {
      matrix.memory().setAtIndex(ValueLayout.JAVA_INT, i, values[i]);
    }
    return matrix;
  }

  @Override
  public void close() {
    buffers.forEach(pool::give);
    buffers.clear();
  }
}
