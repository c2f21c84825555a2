package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.recipe.RecipeReader;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** Round-to-nearest needs no data, so it is llm-compressor's byte for byte. */
class GoldenRtnTest {
  @TempDir Path folder;

  /** What it runs on; other modules' devices too. */
  Device device() {
    return new CpuDevice(2);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "rtn-w2a16",
        "rtn-w3a16",
        "rtn-w4a16",
        "rtn-w4a16-asym",
        "rtn-w4a16-channel",
        "rtn-w4a16-g32-asym",
        "rtn-w5a16",
        "rtn-w6a16",
        "rtn-w7a16",
        "rtn-w8a16",
        "rtn-w8a8",
        "rtn-w4a8",
        "rtn-w4a4",
        "rtn-w4afp8",
        "rtn-w4a16-mse",
        "rtn-nvfp4a16",
        "rtn-nvfp4a16-mse",
        "rtn-mxfp4a16",
        "rtn-mxfp4",
        "rtn-mxfp8",
        "rtn-mxfp8a16",
        "rtn-fp8-dynamic",
        "rtn-fp8-block",
        "rtn-fp8-weight-only-tensor",
        "rtn-embedding-w8"
      })
  void isWhatLlmCompressorWrites(String name) {
    Path output = folder.resolve("out");

    try (Device device = device()) {
      Golden.compress(device, Golden.request(Golden.recipe(name), output));
    }

    assertThat(Golden.digests(output)).containsExactlyEntriesOf(Golden.expected(name));
    assertThat(config(output)).isEqualTo(config(Golden.resource("/golden/llama/" + name)));
    assertThat(Verification.of(output).problems()).isEmpty();
  }

  /** Of a family that there is no description of: modules are found by the names of tensors. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "rtn-w4a16",
        "rtn-w4a16-asym",
        "rtn-w4a16-channel",
        "rtn-w4a16-g32-asym",
        "rtn-w4a16-mse",
        "rtn-fp8-block",
        "rtn-fp8-dynamic",
        "rtn-mxfp4",
        "rtn-mxfp4a16",
        "rtn-nvfp4a16",
        "rtn-nvfp4a16-mse"
      })
  void isWhatLlmCompressorWritesOfExperts(String name) {
    Path output = folder.resolve("out");
    Path golden = Golden.moe(name);

    try (CpuDevice device = new CpuDevice(2)) {
      Golden.compress(
          device,
          Golden.request(
              Golden.moe("base"), RecipeReader.read(golden.resolve("recipe.yaml")), output));
    }

    assertThat(Golden.digests(output)).containsExactlyEntriesOf(Golden.expected(golden));
    assertThat(config(output)).isEqualTo(config(golden));
    assertThat(Verification.of(output).problems()).isEmpty();
  }

  /** Without the version of transformers, which Quench carries over from the original. */
  private static ObjectNode config(Path checkpoint) {
    return ((ObjectNode) Golden.json(checkpoint.resolve("config.json")))
        .without("transformers_version");
  }
}
