package dev.quench.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;

/** Arguments of a kernel, in the order of its parameters. */
final class Arguments {
  private sealed interface Argument {}

  private record Matrix(CudaMatrix matrix) implements Argument {
    @Override
    public String toString() {
      return "%s at 0x%x".formatted(matrix, matrix.address());
    }
  }

  private record Address(long value) implements Argument {
    @Override
    public String toString() {
      return "0x%x".formatted(value);
    }
  }

  private record Wide(long value) implements Argument {
    @Override
    public String toString() {
      return Long.toString(value);
    }
  }

  private record Word(int value) implements Argument {
    @Override
    public String toString() {
      return Integer.toString(value);
    }
  }

  private record Real(float value) implements Argument {
    @Override
    public String toString() {
      return value + "f";
    }
  }

  private record Map(TensorMap map) implements Argument {
    @Override
    public String toString() {
      return map.toString();
    }
  }

  private final List<Argument> arguments = new ArrayList<>();

  /** Two parameters: the address of element (0, 0), and the stride in elements as int64. */
  public Arguments matrix(CudaMatrix matrix) {
    arguments.add(new Matrix(matrix));
    return this;
  }

  /** A device address. */
  public Arguments pointer(long address) {
    arguments.add(new Address(address));
    return this;
  }

  /** Parameters of type int64. */
  public Arguments longs(long... values) {
    for (long value : values) {
      arguments.add(new Wide(value));
    }
    return this;
  }

  /** Parameters of type int32. */
  public Arguments ints(int... values) {
    for (int value : values) {
      arguments.add(new Word(value));
    }
    return this;
  }

  public Arguments floats(float... values) {
    for (float value : values) {
      arguments.add(new Real(value));
    }
    return this;
  }

  /** A parameter {@code const __grid_constant__ CUtensorMap}. */
  public Arguments tensorMap(TensorMap map) {
    arguments.add(new Map(map));
    return this;
  }

  /**
   * Lays the parameters out in {@code values}, and their addresses in {@code pointers}, as
   * cuLaunchKernel wants them.
   */
  void write(MemorySegment values, MemorySegment pointers) {
    Layout layout = new Layout(values, pointers);
    for (Argument argument : arguments) {
      switch (argument) {
        case Matrix(CudaMatrix matrix) -> {
          layout.next(8, 8).set(JAVA_LONG, 0, matrix.address());
          layout.next(8, 8).set(JAVA_LONG, 0, matrix.stride());
        }
        case Address(long value) -> layout.next(8, 8).set(JAVA_LONG, 0, value);
        case Wide(long value) -> layout.next(8, 8).set(JAVA_LONG, 0, value);
        case Word(int value) -> layout.next(4, 4).set(JAVA_INT, 0, value);
        case Real(float value) -> layout.next(4, 4).set(JAVA_FLOAT, 0, value);
        case Map(TensorMap map) ->
            layout.next(TensorMap.BYTES, TensorMap.ALIGNMENT).copyFrom(map.content());
      }
    }
  }

  private static final class Layout {
    private final MemorySegment values;
    private final MemorySegment pointers;
    private long offset;
    private long count;

    Layout(MemorySegment values, MemorySegment pointers) {
      this.values = values;
      this.pointers = pointers;
    }

    MemorySegment next(long bytes, long alignment) {
      long from = Math.ceilDiv(offset, alignment) * alignment;
      MemorySegment slot = values.asSlice(from, bytes);
      pointers.setAtIndex(JAVA_LONG, count, slot.address());
      count++;
      offset = from + bytes;
      return slot;
    }
  }

  /** Calls back with every device address that the kernel may follow. */
  void forEachAddress(LongConsumer consumer) {
    for (Argument argument : arguments) {
      switch (argument) {
        case Matrix(CudaMatrix matrix) -> consumer.accept(matrix.address());
        case Address(long value) -> consumer.accept(value);
        case Map(TensorMap map) -> consumer.accept(map.address());
        case Wide _, Word _, Real _ -> {}
      }
    }
  }

  @Override
  public String toString() {
    return arguments.stream().map(Argument::toString).collect(Collectors.joining(", ", "(", ")"));
  }
}
