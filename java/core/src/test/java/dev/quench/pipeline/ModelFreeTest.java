package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.checkpoint.OutputLayout;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.recipe.Recipe;
import dev.quench.recipe.RecipeReader;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** Checkpoints whose modules are known by their names alone, and weights that lie otherwise. */
class ModelFreeTest {
  @TempDir Path folder;

  private SortedMap<String, Golden.Digest> compress(Path model, Recipe recipe, String output) {
    try (Device device = new CpuDevice(2)) {
      Golden.compress(device, Golden.request(model, recipe, folder.resolve(output)));
    }
    assertThat(Verification.of(folder.resolve(output)).problems()).isEmpty();
    return Golden.digests(folder.resolve(output));
  }

  private static Recipe recipe(String fields) {
    return RecipeReader.parse("QuantizationModifier: {" + fields + "}", "recipe.yaml");
  }

  /** A tensor that is to be made: the parts of originals that lie one after the other in it. */
  private record Made(Shape shape, List<String> parts) {}

  /** A copy of a checkpoint with another config.json and other tensors. */
  private Path copy(String name, Path original, ObjectNode config, Map<String, Made> tensors) {
    Checkpoint source = Checkpoint.open(original);
    List<OutputTensor> outputs = new ArrayList<>();
    tensors.forEach(
        (tensor, made) -> outputs.add(new OutputTensor(tensor, DType.BF16, made.shape)));
    try (CheckpointWriter writer =
            CheckpointWriter.create(
                folder.resolve(name), OutputLayout.plan(outputs, Long.MAX_VALUE));
        Arena arena = Arena.ofConfined()) {
      tensors.forEach(
          (tensor, made) -> {
            MemorySegment data = arena.allocate(DType.BF16.bytes(made.shape.elements()));
            long at = 0;
            for (String part : made.parts) {
              MemorySegment bytes = source.read(part, arena).data();
              data.asSlice(at, bytes.byteSize()).copyFrom(bytes);
              at += bytes.byteSize();
            }
            writer.write(tensor, new HostTensor(DType.BF16, made.shape, data));
          });
      writer.finish(config, List.of(), Map.of());
    }
    return folder.resolve(name);
  }

  private static Map<String, Made> asIs(Path original) {
    Map<String, Made> tensors = new LinkedHashMap<>();
    for (TensorInfo tensor : Checkpoint.open(original).tensors().values()) {
      tensors.put(tensor.name(), new Made(tensor.shape(), List.of(tensor.name())));
    }
    return tensors;
  }

  private static ObjectNode config(Path original, String key, Object value) {
    ObjectNode config = Checkpoint.open(original).config();
    config.putPOJO(key, value);
    return config;
  }

  /** The same bytes as with a description of the family. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "scheme: W4A16, ignore: [lm_head]",
        "scheme: NVFP4A16",
        "scheme: {MXFP8A16: ['re:.*mlp.*'], W8A8: ['re:.*self_attn.*']}, ignore: ['re:.*1.*o_proj']",
        "config_groups: {a: {targets: [Embedding, lm_head], weights: {num_bits: 8, strategy: channel}}}"
      })
  void anUnknownFamilyGivesTheSameTensors(String fields) {
    ObjectNode unknown = Checkpoint.open(Golden.BASE).config().put("model_type", "unheard_of");
    Path model = copy("unknown", Golden.BASE, unknown, asIs(Golden.BASE));

    SortedMap<String, Golden.Digest> byNames = compress(model, recipe(fields), "a");
    SortedMap<String, Golden.Digest> described = compress(Golden.BASE, recipe(fields), "b");

    assertThat(byNames).containsExactlyEntriesOf(described);
    assertThat(Golden.json(folder.resolve("a/config.json")).get("quantization_config"))
        .isEqualTo(Golden.json(folder.resolve("b/config.json")).get("quantization_config"));
  }

  /** Rounding in a run that calibrates other modules is the same rounding. */
  @ParameterizedTest
  @ValueSource(strings = {"W4A16", "FP8_BLOCK", "NVFP4A16", "MXFP4", "MXFP8A16"})
  void roundingBesideCalibrationGivesTheSameTensors(String scheme) {
    String calibrated =
        """
        - QuantizationModifier: {scheme: %s, targets: ['re:.*(q|k|v|gate|up)_proj', Embedding]}
        - GPTQModifier: {scheme: W8A8, targets: ['re:.*(o|down)_proj']}
        """
            .formatted(scheme);
    SortedMap<String, Golden.Digest> beside =
        compress(Golden.BASE, RecipeReader.parse(calibrated, "recipe.yaml"), "a");
    SortedMap<String, Golden.Digest> alone =
        compress(
            Golden.BASE,
            recipe(
                "scheme: %s, targets: ['re:.*(q|k|v|gate|up)_proj', Embedding]".formatted(scheme)),
            "b");

    alone.keySet().removeIf(name -> name.contains("o_proj") || name.contains("down_proj"));
    assertThat(beside).containsAllEntriesOf(alone);
  }

  private Path fusedExperts(boolean transposed) {
    Path base = Golden.moe("base");
    Map<String, Made> tensors = asIs(base);
    List<String> gateUp = new ArrayList<>();
    List<String> down = new ArrayList<>();
    String experts = "model.layers.1.mlp.experts.";
    for (int e = 0; e < 4; e++) {
      for (String matrix : List.of("gate_proj", "up_proj", "down_proj")) {
        String name = experts + e + "." + matrix + ".weight";
        tensors.remove(name);
        (matrix.equals("down_proj") ? down : gateUp).add(name);
      }
    }
    tensors.put(experts + "gate_up_proj", new Made(Shape.of(4, 256, 256), gateUp));
    // The shapes alone are transposed, which is enough to be refused.
    tensors.put(
        experts + "down_proj",
        new Made(transposed ? Shape.of(4, 128, 256) : Shape.of(4, 256, 128), down));
    return copy("fused-" + transposed, base, Checkpoint.open(base).config(), tensors);
  }

  @ParameterizedTest
  @ValueSource(strings = {"rtn-w4a16-asym", "rtn-nvfp4a16", "rtn-fp8-block"})
  void fusedExpertsAreTakenApart(String name) {
    Path golden = Golden.moe(name);
    Recipe recipe = RecipeReader.read(golden.resolve("recipe.yaml"));

    assertThat(compress(fusedExperts(false), recipe, "out"))
        .containsExactlyEntriesOf(Golden.expected(golden));
  }

  @Test
  void fusedExpertsThatAreLeftAloneStayTogether() {
    Path model = fusedExperts(false);
    Recipe recipe = recipe("scheme: W4A16, ignore: [lm_head, 're:.*mlp.gate$', 're:.*experts.*']");

    SortedMap<String, Golden.Digest> tensors = compress(model, recipe, "out");

    SortedMap<String, Golden.Digest> original = Golden.digests(model);
    for (String fused : List.of("gate_up_proj", "down_proj")) {
      String name = "model.layers.1.mlp.experts." + fused;
      assertThat(tensors).containsEntry(name, original.get(name));
    }
  }

  @Test
  void oneExpertCanBeCompressedWithoutTheOthers() {
    SortedMap<String, Golden.Digest> tensors =
        compress(
            fusedExperts(false), recipe("scheme: W4A16, targets: ['re:.*experts.2.*']"), "out");

    String experts = "model.layers.1.mlp.experts.";
    assertThat(tensors)
        .containsKey(experts + "2.gate_proj.weight_packed")
        .containsEntry(
            experts + "3.up_proj.weight",
            Golden.digests(Golden.moe("base")).get(experts + "3.up_proj.weight"));
  }

  @Test
  void transposedExpertsAreRefusedUnlessTheyAreIgnored() {
    Path model = fusedExperts(true);

    assertThatThrownBy(
            () -> compress(model, recipe("scheme: W4A16, ignore: [lm_head, 're:.*gate$']"), "out"))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("model.layers.1.mlp.experts.gate_up_proj")
        .hasMessageContaining("transposed")
        .hasMessageContaining("re:.*experts.*");
    compress(
        model,
        recipe("scheme: W4A16, ignore: [lm_head, 're:.*gate$', 're:.*experts.*']"),
        "ignored");
  }

  private Path tied() {
    Map<String, Made> tensors = asIs(Golden.BASE);
    tensors.remove("lm_head.weight");
    return copy("tied", Golden.BASE, config(Golden.BASE, "tie_word_embeddings", true), tensors);
  }

  @ParameterizedTest
  @ValueSource(strings = {"[model.embed_tokens]", "[lm_head]"})
  void whatIsTiedIsUntiedIfOneOfTheTwoIsCompressed(String targets) {
    SortedMap<String, Golden.Digest> tensors =
        compress(tied(), recipe("scheme: W8A16, targets: " + targets), "out");

    Golden.Digest embedding = Golden.digests(Golden.BASE).get("model.embed_tokens.weight");
    String compressed = targets.substring(1, targets.length() - 1);
    String other = compressed.equals("lm_head") ? "model.embed_tokens" : "lm_head";
    assertThat(tensors)
        .containsKey(compressed + ".weight_packed")
        .doesNotContainKey(compressed + ".weight")
        .containsEntry(other + ".weight", embedding);
    assertThat(
            Golden.json(folder.resolve("out/config.json")).get("tie_word_embeddings").asBoolean())
        .isFalse();
  }

  @Test
  void whatIsTiedStaysTiedIfBothAreCompressedAlike() {
    SortedMap<String, Golden.Digest> tensors =
        compress(tied(), recipe("scheme: W8A16, targets: [Embedding, lm_head]"), "out");

    assertThat(tensors)
        .containsKey("model.embed_tokens.weight_packed")
        .doesNotContainKeys("lm_head.weight_packed", "lm_head.weight");
    assertThat(
            Golden.json(folder.resolve("out/config.json")).get("tie_word_embeddings").asBoolean())
        .isTrue();
  }

  @Test
  void whatIsTiedIsUntiedIfTheTwoDiffer() {
    SortedMap<String, Golden.Digest> tensors =
        compress(tied(), recipe("scheme: {W8A16: [Embedding], FP8_DYNAMIC: [lm_head]}"), "out");

    assertThat(tensors)
        .containsKeys("model.embed_tokens.weight_packed", "lm_head.weight", "lm_head.weight_scale");
  }

  @Test
  void partsOfAFusedMatrixShareTheirScheme() {
    assertThatThrownBy(
            () ->
                compress(
                    Golden.BASE, recipe("scheme: NVFP4A16, targets: ['re:.*(q|k)_proj']"), "out"))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("model.layers.0.self_attn.q_proj is to be NVFP4")
        .hasMessageContaining("model.layers.0.self_attn.v_proj isn't");
  }

  @Test
  void calibrationNeedsADescriptionOfTheFamily() {
    Recipe recipe = RecipeReader.parse("GPTQModifier: {scheme: W4A16}", "recipe.yaml");
    assertThatThrownBy(() -> CompressionPlan.of(Golden.request(Golden.moe("base"), recipe, folder)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("model_type \"qwen3_moe\" isn't supported");
  }
}
