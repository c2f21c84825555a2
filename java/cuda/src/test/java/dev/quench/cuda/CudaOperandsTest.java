package dev.quench.cuda;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.quench.device.Activation;
import dev.quench.device.AttentionSpec;
import dev.quench.device.ReferenceDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.tensor.DType;
import org.junit.jupiter.api.Test;

/** Operands that operations of moving and model refuse, and those that leave nothing to do. */
final class CudaOperandsTest {

  @Test
  void castsThatDoNotExist() {
    try (CudaDevice device = CudaTests.open();
        Scope scope = device.openScope()) {
      Tensor floats = scope.allocate(DType.F32, 2, 8);
      Tensor codes = scope.allocate(DType.I8, 2, 8);
      assertThatThrownBy(() -> device.convert(floats, codes))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("no cast from F32 to I8");
      assertThatThrownBy(() -> device.transpose(codes, scope.allocate(DType.BF16, 8, 2)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("no cast from I8 to BF16");
      assertThatThrownBy(() -> device.round(floats, DType.I8))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("I8");
    }
  }

  @Test
  void shapesThatDoNotFit() {
    try (CudaDevice device = CudaTests.open();
        Scope scope = device.openScope()) {
      Tensor x = scope.allocate(DType.F32, 4, 6);
      Tensor row = scope.allocate(DType.F32, 1, 5);
      assertThatThrownBy(() -> device.add(x, scope.allocate(DType.F32, 4, 5)))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> device.addRow(row, x)).isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> device.transpose(x, x)).isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> device.diagonal(x, row))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> device.rope(x, 4, scope.ints(0, 0, 0, 0), row, row))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("heads of 4");
    }
  }

  @Test
  void headsThatAreTooWide() {
    try (CudaDevice device = CudaTests.open();
        Scope scope = device.openScope()) {
      Tensor x = scope.allocate(DType.F32, 2, 257);
      Tensor y = scope.allocate(DType.F32, 2, 257);
      AttentionSpec spec = new AttentionSpec(1, 1, 257, 1);
      assertThatThrownBy(() -> device.attention(x, x, x, spec, new long[] {0, 2}, y))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("no attention kernel for heads of 257");
    }
  }

  @Test
  void tensorsOfAnotherDevice() {
    try (CudaDevice device = CudaTests.open();
        Scope scope = device.openScope();
        ReferenceDevice host = new ReferenceDevice();
        Scope hostScope = host.openScope()) {
      Tensor foreign = hostScope.zeros(DType.F32, 2, 2);
      Tensor own = scope.zeros(DType.F32, 2, 2);
      assertThatThrownBy(() -> device.add(foreign, own))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("another device");
    }
  }

  @Test
  void nothingToDo() {
    try (CudaDevice device = CudaTests.open();
        Scope scope = device.openScope()) {
      Tensor x = scope.zeros(DType.F32, 0, 8);
      Tensor y = scope.zeros(DType.F32, 0, 8);
      Tensor row = scope.zeros(DType.F32, 1, 8);
      Tensor none = scope.zeros(DType.I32, 1, 0);
      AttentionSpec spec = new AttentionSpec(1, 1, 8, 1);
      assertThatCode(
              () -> {
                device.convert(x, y);
                device.transpose(x, scope.zeros(DType.F32, 8, 0));
                device.gatherRows(row, none, y);
                device.add(x, y);
                device.addRow(row, y);
                device.rmsNorm(x, row, 1e-5f, y);
                device.rope(x, 8, none, scope.zeros(DType.F32, 3, 4), scope.zeros(DType.F32, 3, 4));
                device.gatedActivation(Activation.SILU, x, x, y);
                device.logProbability(x, none, scope.zeros(DType.F32, 1, 0));
                device.attention(x, x, x, spec, new long[] {0}, y);
                device.attention(x, x, x, spec, new long[] {0, 0}, y);
                device.synchronize();
              })
          .doesNotThrowAnyException();
    }
  }

  /** A kernel that stops takes a real device's context along, and with it the tests that follow. */
  @Test
  void indexOutOfRange() {
    try (CudaDevice device = CudaTests.open();
        Scope scope = device.openScope()) {
      assumeTrue(device.description().contains("stand-in"), "not on a GPU that others use");
      Tensor source = scope.zeros(DType.F32, 3, 8);
      Tensor target = scope.zeros(DType.F32, 2, 8);
      device.gatherRows(source, scope.ints(2, 3), target);
      assertThatThrownBy(device::synchronize)
          .isInstanceOf(CudaException.class)
          .hasMessageContaining("quench_gather_rows_b32");
    }
  }
}
