package dev.quench.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Supplier;

/** A device under test beside the reference. Operands lie inside larger, guarded memory. */
final class Parity implements AutoCloseable {
  /** What is run on both devices. */
  @FunctionalInterface
  interface Operation {
    void run(Device device, Tensor[] operands);
  }

  /** How far an element may be off. */
  @FunctionalInterface
  interface Bound {
    double at(int row, int column);
  }

  /** Rows and columns around an operand; none beside it if it is dense. */
  private record Margin(int above, int below, int left, int right) {}

  private static final List<Margin> MARGINS =
      List.of(new Margin(1, 1, 0, 0), new Margin(2, 1, 3, 5));

  /** Around what is only read: NaN, and indices out of range. */
  private static final byte POISON = (byte) 0xFF;

  /** Around what is written. */
  private static final byte GUARD = (byte) 0xA5;

  private final Device tested;
  private final Device reference = new ReferenceDevice();

  Parity(Supplier<? extends Device> tested) {
    this.tested = tested.get();
  }

  @Override
  public void close() {
    tested.close();
    reference.close();
  }

  /** Runs on both, with dense operands and with views; what is written must be the same. */
  void exact(String what, Operation operation, Operand... operands) {
    exact(what, false, operation, operands);
  }

  /** The same for operations that move elements as they are: NaNs too must be the same. */
  void copies(String what, Operation operation, Operand... operands) {
    exact(what, true, operation, operands);
  }

  private void exact(String what, boolean bits, Operation operation, Operand... operands) {
    List<Operand> expected = run(reference, MARGINS.getFirst(), operation, operands);
    for (Margin margin : MARGINS) {
      List<Operand> actual = run(tested, margin, operation, operands);
      for (int i = 0; i < operands.length; i++) {
        byte[] wanted = bits ? expected.get(i).content() : expected.get(i).withOneNan();
        byte[] found = bits ? actual.get(i).content() : actual.get(i).withOneNan();
        int at = Arrays.mismatch(wanted, found);
        if (at >= 0) {
          fail(differs(what, margin, i, expected.get(i), actual.get(i), at));
        }
      }
    }
  }

  private static String differs(
      String what, Margin margin, int i, Operand expected, Operand actual, int at) {
    int size = (int) expected.dtype().bytes(1);
    int element = at / size;
    return "%s, %s: operand %d, %s, differs at (%d, %d): 0x%s should be 0x%s"
        .formatted(
            what,
            margin,
            i,
            expected,
            element / expected.columns(),
            element % expected.columns(),
            hex(actual.content(), element * size, size),
            hex(expected.content(), element * size, size));
  }

  private static String hex(byte[] bytes, int from, int size) {
    StringBuilder digits = new StringBuilder();
    for (int i = from + size - 1; i >= from; i--) {
      digits.append("%02x".formatted(bytes[i]));
    }
    return digits.toString();
  }

  /** Runs on both; elements of operand {@code index}, F32, may be off by as much as the bound. */
  void within(String what, int index, Bound bound, Operation operation, Operand... operands) {
    Operand expected = onReference(operation, operands).get(index);
    for (Operand actual : onTested(operation, operands).stream().map(o -> o.get(index)).toList()) {
      assertClose(what, expected.doubles(), actual, bound);
    }
  }

  static void assertClose(String what, double[][] expected, Operand actual, Bound bound) {
    for (int r = 0; r < actual.rows(); r++) {
      for (int c = 0; c < actual.columns(); c++) {
        double allowed = bound.at(r, c);
        double error = Math.abs(actual.get(r, c) - expected[r][c]);
        // Written so that NaN fails.
        if (!(error <= allowed)) {
          fail(
              "%s: (%d, %d) is %s, should be %s within %s, off by %s"
                  .formatted(what, r, c, actual.get(r, c), expected[r][c], allowed, error));
        }
      }
    }
  }

  List<Operand> onReference(Operation operation, Operand... operands) {
    return run(reference, MARGINS.getFirst(), operation, operands);
  }

  /** What the operands are afterwards, once for each way in which they can lie. */
  List<List<Operand>> onTested(Operation operation, Operand... operands) {
    return MARGINS.stream().map(margin -> run(tested, margin, operation, operands)).toList();
  }

  private static List<Operand> run(
      Device device, Margin margin, Operation operation, Operand... operands) {
    Arena arena = Arena.ofAuto(); // devices read it with threads of their own
    try (Scope scope = device.openScope()) {
      Tensor[] surroundings = new Tensor[operands.length];
      Tensor[] views = new Tensor[operands.length];
      for (int i = 0; i < operands.length; i++) {
        Operand operand = operands[i];
        Operand image = embed(operand, margin);
        surroundings[i] = scope.allocate(image.dtype(), image.rows(), image.columns());
        device.convert(scope.upload(image.onHost(arena)), surroundings[i]);
        views[i] =
            surroundings[i].slice(margin.above, operand.rows(), margin.left, operand.columns());
      }
      operation.run(device, views);
      List<Operand> after = new ArrayList<>();
      for (int i = 0; i < operands.length; i++) {
        after.add(extract(device, surroundings[i], operands[i], margin, arena));
      }
      return after;
    }
  }

  private static Operand embed(Operand operand, Margin margin) {
    int rows = margin.above + operand.rows() + margin.below;
    int columns = margin.left + operand.columns() + margin.right;
    byte[] image = new byte[(int) operand.dtype().bytes((long) rows * columns)];
    Arrays.fill(image, operand.written() ? GUARD : POISON);
    copyRows(operand, operand.content(), image, columns, margin, true);
    return new Operand(operand.dtype(), rows, columns, image, operand.written());
  }

  private static Operand extract(
      Device device, Tensor surrounding, Operand before, Margin margin, Arena arena) {
    long bytes = before.dtype().bytes(surrounding.rows() * surrounding.columns());
    HostTensor target =
        new HostTensor(
            before.dtype(),
            Shape.of(surrounding.rows(), surrounding.columns()),
            arena.allocate(bytes, 64));
    device.download(surrounding, target);
    byte[] image = target.data().toArray(ValueLayout.JAVA_BYTE);
    int columns = (int) surrounding.columns();
    byte[] content = new byte[before.content().length];
    copyRows(before, content, image, columns, margin, false);
    if (!before.written()) {
      assertThat(content).as("an operand that is only read").isEqualTo(before.content());
    }
    copyRows(before, before.content(), image, columns, margin, true);
    assertThat(Arrays.equals(image, embed(before, margin).content()))
        .as("what lies around %s is untouched", before)
        .isTrue();
    return new Operand(before.dtype(), before.rows(), before.columns(), content, true);
  }

  private static void copyRows(
      Operand shape, byte[] content, byte[] image, int imageColumns, Margin margin, boolean in) {
    int size = (int) shape.dtype().bytes(1);
    int width = shape.columns() * size;
    for (int r = 0; r < shape.rows(); r++) {
      int at = ((margin.above + r) * imageColumns + margin.left) * size;
      System.arraycopy(
          in ? content : image,
          in ? r * width : at,
          in ? image : content,
          in ? at : r * width,
          width);
    }
  }
}
