package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.checkpoint.Checkpoint;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.format.StoredWeights;
import dev.quench.format.WeightDecoder;
import dev.quench.format.WeightLayout;
import dev.quench.model.WeightSource;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.recipe.RecipeReader;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is written in a format reads back as the original, as closely as its codes can. */
class ReadBackTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "scheme: W2A16",
        "scheme: W3A16",
        "scheme: W4A16_ASYM",
        "scheme: W7A16",
        "scheme: W8A8",
        "scheme: W4AFP8",
        "scheme: FP8_DYNAMIC",
        "scheme: FP8_BLOCK",
        "scheme: NVFP4A16",
        "scheme: MXFP4",
        "scheme: MXFP8A16",
        "config_groups: {a: {targets: ['re:.*'], weights: {type: float}}}",
        "config_groups: {a: {targets: ['re:.*'], weights: {num_bits: 4, symmetric: false}}}",
        "config_groups: {a: {targets: ['re:.*'], weights: {num_bits: 4}, format: naive-quantized}}",
        "config_groups: {a: {targets: ['re:.*'], weights: {num_bits: 5, symmetric: false, block_structure: [48, 80]}}}",
      })
  void weightsAreWithinTheDistanceOfTheirCodes(String scheme) {
    String fields = scheme.startsWith("scheme") ? scheme + ", targets: ['re:.*']" : scheme;
    Path output = folder.resolve("out");
    try (Device device = new CpuDevice(2)) {
      Golden.compress(
          device,
          Golden.request(
              RecipeReader.parse("QuantizationModifier: {" + fields + "}", "recipe.yaml"), output));

      LoadedModel compressed = LoadedModel.open(output);
      assertThat(compressed.layouts()).hasSize(16);
      compressed.layouts().forEach((name, layout) -> check(device, compressed, name, layout));
      assertThat(Inspection.of(compressed).modules()).hasSize(16);
      assertThat(Verification.of(output).problems()).isEmpty();
    }
  }

  private static void check(
      Device device, LoadedModel compressed, String name, WeightLayout layout) {
    Checkpoint base = Checkpoint.open(Golden.BASE);
    WeightSource originals = new StoredWeights(device, base, Map.of());
    int[] rows = {0, 7, (int) layout.rows() - 1, 7};
    try (Arena arena = Arena.ofConfined();
        Scope scope = device.openScope()) {
      HostTensor original =
          floats(device, originals.load(name, layout.rows(), layout.columns(), scope), arena);
      HostTensor read =
          floats(
              device,
              compressed.weights(device).load(name, layout.rows(), layout.columns(), scope),
              arena);
      Tensor gathered = scope.allocate(DType.F32, rows.length, layout.columns());
      compressed.weights(device).gatherRows(name, layout.rows(), layout.columns(), rows, gathered);
      HostTensor some = floats(device, gathered, arena);
      QuantizedWeight weight =
          new WeightDecoder(device)
              .decode(layout, part -> compressed.checkpoint().read(part, arena), scope);
      HostTensor scale = download(device, weight.scale(), arena);

      QuantizationArgs args = layout.args();
      for (long r = 0; r < layout.rows(); r++) {
        for (long c = 0; c < layout.columns(); c++) {
          long i = r * layout.columns() + c;
          long block =
              r / args.blockRows(layout.rows()) * layout.scaleColumns()
                  + c / args.blockColumns(layout.columns());
          double step = scale.floatAt(block) / weight.globalScale();
          double error = Math.abs(read.floatAt(i) - original.floatAt(i));
          assertThat(error)
              .as("%s (%d, %d): %s became %s", name, r, c, original.floatAt(i), read.floatAt(i))
              .isLessThanOrEqualTo(bound(args, Math.abs(original.floatAt(i)), step));
        }
      }
      for (int k = 0; k < rows.length; k++) {
        for (long c = 0; c < layout.columns(); c++) {
          assertThat(some.floatAt(k * layout.columns() + c))
              .isEqualTo(read.floatAt(rows[k] * layout.columns() + c));
        }
      }
    }
  }

  /**
   * Half the distance of neighbouring codes around |x|, and what roundings to bfloat16 (u = 2⁻⁹)
   * add: one of the quotient and one of the value, each at most u·|x|; with zero points one more of
   * their sum and one of the zero point, each at most u times all codes; one of the scale, for
   * which the outermost element goes beyond the last code by u times the codes. Neighbours of E4M3
   * are at most ⅛ of a value apart, those of E2M1 ½ below 2 steps and then at most ½ of a value,
   * and MX scales leave a value up to 1/7 of it beyond the last code.
   */
  private static double bound(QuantizationArgs args, double x, double step) {
    double u = 0x1p-9;
    double codes = args.maxCode() - args.minCode();
    return switch (args.codeFormat()) {
      case INTEGER -> step / 2 + 2 * u * x + (args.symmetric() ? u : 4 * u) * codes * step;
      case E4M3 -> Math.max(x / 7, step * 0x1p-10) + 3 * u * x;
      case E2M1 -> Math.max(x / 4, step / 4) + 3 * u * x;
    };
  }

  private static HostTensor floats(Device device, Tensor tensor, Arena arena) {
    return download(device, tensor, arena);
  }

  private static HostTensor download(Device device, Tensor tensor, Arena arena) {
    HostTensor host =
        new HostTensor(
            tensor.dtype(),
            Shape.of(tensor.rows(), tensor.columns()),
            arena.allocate(tensor.dtype().bytes(tensor.rows() * tensor.columns()), 64));
    device.download(tensor, host);
    return host;
  }
}
