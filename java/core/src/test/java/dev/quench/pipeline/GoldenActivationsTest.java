package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.checkpoint.Checkpoint;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.device.TorchBfloat16Device;
import dev.quench.recipe.RecipeReader;
import dev.quench.tensor.DType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/**
 * What depends on activations. llm-compressor ran the models in bfloat16: with PyTorch's arithmetic
 * under Quench's pipeline all bytes are its. (But for the scales of queries in {@code
 * attention-fp8}, which it leaves uninitialised: they are its observer's, of transformers' queries;
 * and for the zero points there, which symmetric quantization has none of.)
 */
class GoldenActivationsTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "rtn-fp8",
        "rtn-w8a8-static-asym",
        "rtn-nvfp4",
        "mixed-nvfp4-fp8",
        "kv-fp8",
        "kv-fp8-head",
        "fp8-kv-fp8",
        "attention-fp8",
        "rtn-w4a16-imatrix"
      })
  void isWhatLlmCompressorWrites(String name) {
    Path output = folder.resolve("out");
    try (Device device = new TorchBfloat16Device(new CpuDevice(2))) {
      Golden.compress(device, request(name, output, Propagation.LAYER, DType.BF16, 64));
    }

    assertThat(config(output)).isEqualTo(config(golden(name)));
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

  /**
   * The first linears read a norm of embeddings, which are the same numbers in float32. bfloat16
   * rounds that twice, before and after the norm's weight is applied: half a unit in the last place
   * each, and one more where a rounding leads into the next binade. Range and scale are rounded to
   * bfloat16 by both. So scales are at most 2 units apart.
   */
  @ParameterizedTest
  @EnumSource
  void float32IsWithinTheRoundingsOfBfloat16(Propagation propagation) {
    Path output = folder.resolve("out");
    try (Device device = new CpuDevice(2)) {
      Golden.compress(device, request("fp8-kv-fp8", output, propagation, DType.F32, 256));
    }

    Checkpoint checkpoint = Checkpoint.open(output);
    activations("fp8-kv-fp8")
        .forEach(
            (tensor, bytes) -> {
              if (tensor.matches("model\\.layers\\.0\\.self_attn\\.[qkv]_proj\\.input_scale")) {
                int expected = bits(bytes);
                int actual = bits(Golden.bytes(checkpoint.require(tensor)));
                assertThat(Math.abs(actual - expected)).as(tensor).isLessThanOrEqualTo(2);
              }
            });
    assertThat(Verification.of(output).problems()).isEmpty();
  }

  private static int bits(byte[] bfloat16) {
    return ByteBuffer.wrap(bfloat16).order(ByteOrder.LITTLE_ENDIAN).getShort();
  }

  private static CompressRequest request(
      String name, Path output, Propagation propagation, DType activations, int batchTokens) {
    return new CompressRequest(
        Golden.BASE,
        output,
        RecipeReader.read(golden(name).resolve("recipe.yaml")),
        Optional.of(Golden.calibration()),
        batchTokens,
        propagation,
        activations,
        5_000_000_000L,
        0,
        false,
        Golden.resources(output));
  }

  private static Path golden(String name) {
    return Golden.resource("/golden/llama/" + name);
  }

  /** The bytes of the tensors that depend on activations, by name. */
  private static Map<String, byte[]> activations(String name) {
    Map<String, byte[]> bytes = new TreeMap<>();
    Golden.lines(golden(name).resolve("activations.tsv"))
        .forEach(cells -> bytes.put(cells[0], HexFormat.of().parseHex(cells[3])));
    return bytes;
  }

  /** Without the version of transformers, which Quench carries over from the original. */
  private static ObjectNode config(Path checkpoint) {
    return ((ObjectNode) Golden.json(checkpoint.resolve("config.json")))
        .without("transformers_version");
  }
}
