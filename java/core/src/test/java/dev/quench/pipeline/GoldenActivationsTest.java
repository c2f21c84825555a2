package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.checkpoint.Checkpoint;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.device.TorchBfloat16Device;
import dev.quench.recipe.RecipeReader;
import dev.quench.tensor.DType;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/**
 * What depends on activations. llm-compressor ran the models in bfloat16: with PyTorch's arithmetic
 * under Quench's pipeline all bytes are its; in float32 scales are what roundings of activations to
 * bfloat16 let them be.
 */
class GoldenActivationsTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"rtn-fp8", "rtn-w8a8-static-asym"})
  void isWhatLlmCompressorWrites(String name) {
    Path golden = Golden.resource("/golden/llama/" + name);
    Path output = folder.resolve("out");
    try (Device device = new TorchBfloat16Device(new CpuDevice(2))) {
      Golden.compress(device, request(name, output, Propagation.LAYER, DType.BF16, 64));
    }

    assertThat(config(output)).isEqualTo(config(golden));
    Map<String, Golden.Digest> digests = new TreeMap<>(Golden.digests(output));
    Map<String, byte[]> expected = activations(name);
    assertThat(digests.keySet()).containsAll(expected.keySet());
    digests.keySet().removeAll(expected.keySet());
    assertThat(digests).containsExactlyEntriesOf(Golden.expected(name));
    Checkpoint checkpoint = Checkpoint.open(output);
    expected.forEach(
        (tensor, bytes) ->
            assertThat(Golden.bytes(checkpoint.require(tensor))).as(tensor).isEqualTo(bytes));
    assertThat(Verification.of(output).problems()).isEmpty();
  }

  static CompressRequest request(
      String name, Path output, Propagation propagation, DType activations, int batchTokens) {
    Path golden = Golden.resource("/golden/llama/" + name);
    return new CompressRequest(
        Golden.BASE,
        output,
        RecipeReader.read(golden.resolve("recipe.yaml")),
        Optional.of(Golden.calibration()),
        batchTokens,
        propagation,
        activations,
        5_000_000_000L,
        0,
        false,
        Golden.resources(output));
  }

  /** The bytes of the tensors that depend on activations, by name. */
  private static Map<String, byte[]> activations(String name) {
    Map<String, byte[]> bytes = new TreeMap<>();
    Golden.lines(Golden.resource("/golden/llama/" + name).resolve("activations.tsv"))
        .forEach(cells -> bytes.put(cells[0], HexFormat.of().parseHex(cells[3])));
    return bytes;
  }

  /** Without the version of transformers, which Quench carries over from the original. */
  private static ObjectNode config(Path checkpoint) {
    return ((ObjectNode) Golden.json(checkpoint.resolve("config.json")))
        .without("transformers_version");
  }
}
