package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.Cancellation;
import dev.quench.calibration.Batch;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.quantization.PresetSchemes;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * GPTQ beside llm-compressor's, which ran the model in bfloat16 on another machine: scales are its
 * bytes, codes agree by and large, and the result is as good.
 */
class GoldenGptqTest {
  /**
   * What llm-compressor made, and its relative logits error over the calibration rows: what {@link
   * Comparison} says of that checkpoint with its inputs left alone, so that it is the weights' own.
   */
  enum Case {
    W4A16("gptq-w4a16", "W4A16", 4, 0.118357),
    W4A16_NO_ACTORDER("gptq-w4a16-no-actorder", "W4A16", 4, 0.159969),
    W8A8("gptq-w8a8", "W8A8", 8, 0.000696602),
    FP8_DYNAMIC("gptq-fp8-dynamic", "FP8_DYNAMIC", 8, 0.00261305);

    final String folder;
    final String scheme;
    final int bits;
    final double logitsError;

    Case(String folder, String scheme, int bits, double logitsError) {
      this.folder = folder;
      this.scheme = scheme;
      this.bits = bits;
      this.logitsError = logitsError;
    }

    QuantizationArgs weights() {
      return PresetSchemes.find(scheme).orElseThrow().weights().orElseThrow();
    }

    /** Every eighth row of llm-compressor's codes, as a checkpoint that is made in that folder. */
    Checkpoint codes(Path at) {
      return Golden.checkpoint(
          Golden.resource("/golden/llama/" + folder + "/codes.safetensors"), at);
    }
  }

  private static final Pattern FIRST_LINEARS =
      Pattern.compile("model\\.layers\\.0\\.self_attn\\.[qkv]_proj");

  @TempDir Path folder;

  /** What it runs on; other modules' devices too. */
  Device device() {
    return new CpuDevice(2);
  }

  @ParameterizedTest
  @EnumSource
  void layerByLayerIsAsGoodAsLlmCompressor(Case golden) {
    Path output = folder.resolve("out");
    try (Device device = device()) {
      Golden.compress(device, request(golden, output, Propagation.LAYER, DType.F32));

      assertThat(shapes(Golden.digests(output))).isEqualTo(shapes(Golden.expected(golden.folder)));
      assertThat(withoutCodes(Golden.digests(output)))
          .containsExactlyEntriesOf(withoutCodes(Golden.expected(golden.folder)));
      assertThat(logitsError(device, output)).isLessThanOrEqualTo(1.02 * golden.logitsError);
    }
  }

  /** Each linear sees what its compressed predecessors produce, and can make up for it. */
  @Test
  void stepByStepIsBetterOnAverage() {
    double sum = 0;
    double goldenSum = 0;
    try (Device device = device()) {
      for (Case golden : Case.values()) {
        Path output = folder.resolve(golden.folder);
        Golden.compress(device, request(golden, output, Propagation.STEP, DType.F32));
        double error = logitsError(device, output);
        sum += error;
        goldenSum += golden.logitsError;
      }
    }
    assertThat(sum / Case.values().length).isLessThan(goldenSum / Case.values().length);
  }

  /**
   * With activations rounded as llm-compressor's were, what the first linears see differs by the
   * order of sums alone. A code goes another way only where a value is within that of a tie.
   */
  @ParameterizedTest
  @EnumSource
  void roundedActivationsGiveTheSameCodesInTheFirstLinears(Case golden) {
    Path output = folder.resolve("out");
    try (Device device = device()) {
      Golden.compress(device, request(golden, output, Propagation.LAYER, DType.BF16));
    }
    Checkpoint actual = Checkpoint.open(output);
    Map<String, TensorInfo> first =
        new TreeMap<>(golden.codes(folder.resolve("expected")).tensors());
    first.keySet().removeIf(name -> !FIRST_LINEARS.matcher(name).lookingAt());

    assertThat(first).hasSize(3);
    first.forEach(
        (name, tensor) -> {
          Agreement agreement = new Agreement();
          agreement.count(
              Golden.bytes(tensor),
              Golden.sampledRows(Golden.bytes(actual.require(name)), tensor),
              golden.bits);
          assertThat(agreement.share()).as(name).isGreaterThanOrEqualTo(0.995);
        });
  }

  private static CompressRequest request(
      Case golden, Path output, Propagation propagation, DType activations) {
    return Golden.with(
        Golden.request(Golden.recipe(golden.folder), output), propagation, activations, false);
  }

  private double logitsError(Device device, Path checkpoint) {
    LoadedModel base = LoadedModel.open(Golden.BASE);
    LoadedModel other = LoadedModel.open(checkpoint).withExactActivations();
    return Comparison.of(
            device,
            base,
            other,
            Batch.of(Golden.calibration().rows(), 256),
            Golden.resources(checkpoint),
            (index, total) -> {},
            new Cancellation())
        .logitsError();
  }

  private static List<String> shapes(SortedMap<String, Golden.Digest> digests) {
    return digests.entrySet().stream()
        .map(e -> e.getKey() + " " + e.getValue().dtype() + " " + e.getValue().shape())
        .toList();
  }

  /** All but the tensors that hold codes. */
  private static Map<String, Golden.Digest> withoutCodes(SortedMap<String, Golden.Digest> all) {
    Map<String, Golden.Digest> rest = new TreeMap<>(all);
    rest.entrySet()
        .removeIf(
            e ->
                e.getKey().endsWith(".weight_packed")
                    || e.getValue().dtype().equals("I8")
                    || e.getValue().dtype().equals("F8_E4M3"));
    return rest;
  }
}
