package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.Cancellation;
import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.checkpoint.OutputLayout;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.format.WeightLayout;
import dev.quench.progress.ProgressListener;
import dev.quench.quantization.Rounding;
import dev.quench.recipe.Recipe;
import dev.quench.recipe.RecipeReader;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/**
 * Checkpoints that are quantized already. The small ones of other tools, and the digests of what
 * these tools dequantize them to, are made by {@code foreign/make_foreign.py}.
 */
class QuantizedSourceTest {
  private static final long SHARD = 5_000_000_000L;

  @TempDir Path folder;

  private static Path foreign(String name) {
    return Golden.resource("/foreign/" + name);
  }

  @ParameterizedTest
  @ValueSource(strings = {"fp8-block", "modelopt-nvfp4", "autoawq"})
  void otherToolsCheckpointsAreDequantizedAsTheyDoIt(String name) throws IOException {
    Path output = folder.resolve("plain");
    SortedMap<String, Golden.Digest> expected =
        Golden.digestFile(foreign(name).resolve("plain.tsv"));

    Conversion done = Conversion.run(foreign(name), output, SHARD, 2, new Cancellation());

    assertThat(done.weights()).isEqualTo(7);
    assertThat(Golden.digests(output)).containsExactlyEntriesOf(expected);
    assertThat(Golden.json(output.resolve("config.json")).has("quantization_config")).isFalse();
    assertThat(Verification.of(output).problems()).isEmpty();
    try (Stream<Path> files = Files.list(output)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .doesNotContain("hf_quant_config.json", "recipe.yaml");
    }
  }

  static Stream<String> compressedTensors() throws IOException {
    return Files.readAllLines(foreign("compressed-tensors.tsv")).stream()
        .map(line -> line.substring(0, line.indexOf('\t')))
        .distinct();
  }

  /** What Quench writes, read back, has the values that compressed-tensors dequantizes it to. */
  @ParameterizedTest
  @MethodSource("compressedTensors")
  void whatQuenchWritesReadsBackAsCompressedTensorsReadsIt(String name) throws IOException {
    Path compressed = folder.resolve("compressed");
    Path plain = folder.resolve("plain");
    compress(Golden.BASE, Golden.recipe(name), compressed);

    Conversion done = Conversion.run(compressed, plain, SHARD, 2, new Cancellation());

    SortedMap<String, Golden.Digest> expected = Golden.digests(Golden.BASE);
    for (String line : Files.readAllLines(foreign("compressed-tensors.tsv"))) {
      String[] cells = line.split("\t", -1);
      if (cells[0].equals(name)) {
        expected.put(cells[1], new Golden.Digest(cells[2], cells[3], cells[4]));
      }
    }
    assertThat(done.weights()).isEqualTo(14);
    assertThat(Golden.digests(plain)).containsExactlyEntriesOf(expected);
    ObjectNode config = Checkpoint.open(Golden.BASE).config();
    assertThat(Checkpoint.open(plain).config()).isEqualTo(config);
  }

  /** Embeddings, mixed formats, zero points of whole tensors, blocks. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{scheme: {NVFP4A16: ['re:.*mlp.*'], W8A8: ['re:.*self_attn.*']}}",
        "{config_groups: {a: {targets: [Embedding, lm_head], weights: {num_bits: 4, strategy: channel, symmetric: false}}}}",
        "{config_groups: {a: {targets: ['re:.*'], weights: {num_bits: 3, symmetric: false}}}}",
        "{config_groups: {a: {targets: ['re:.*'], weights: {num_bits: 5, symmetric: false, block_structure: [48, 80]}}}}"
      })
  void theDequantizedValuesAreThoseThatEvaluationUses(String fields) {
    Path compressed = folder.resolve("compressed");
    compress(
        Golden.BASE,
        RecipeReader.parse("QuantizationModifier: " + fields, "recipe.yaml"),
        compressed);
    LoadedModel model = LoadedModel.open(compressed);
    Checkpoint plain = SourceModel.dequantized(compressed);

    assertThat(model.layouts()).isNotEmpty();
    model
        .layouts()
        .forEach(
            (name, layout) ->
                assertThat(loaded(model, name, layout, plain.require(name).dtype()))
                    .as(name)
                    .isEqualTo(read(plain, name)));
    assertThat(plain.tensors().keySet()).isEqualTo(Checkpoint.open(Golden.BASE).tensors().keySet());
  }

  @ParameterizedTest
  @ValueSource(strings = {"fp8-block", "modelopt-nvfp4", "autoawq"})
  void compressingOneIsCompressingThePlainModel(String name) {
    Path plain = folder.resolve("plain");
    Conversion.run(foreign(name), plain, SHARD, 2, new Cancellation());
    Recipe recipe =
        RecipeReader.parse(
            "QuantizationModifier: {scheme: {NVFP4A16: ['re:.*(q|k|v)_proj'], W8A8: ['re:.*mlp.*']}}",
            "recipe.yaml");
    Path direct = folder.resolve("direct");
    Path twoSteps = folder.resolve("two");

    compress(foreign(name), recipe, direct);
    compress(plain, recipe, twoSteps);

    assertThat(Golden.digests(direct)).containsExactlyEntriesOf(Golden.digests(twoSteps));
    assertThat(Golden.json(direct.resolve("config.json")))
        .isEqualTo(Golden.json(twoSteps.resolve("config.json")));
  }

  @Test
  void calibrationStartsFromTheDequantizedWeights() {
    Path compressed = folder.resolve("compressed");
    compress(Golden.BASE, Golden.recipe("rtn-fp8-dynamic"), compressed);
    Path plain = folder.resolve("plain");
    Conversion.run(compressed, plain, SHARD, 2, new Cancellation());
    Path direct = folder.resolve("direct");
    Path twoSteps = folder.resolve("two");
    Recipe gptq = Golden.recipe("gptq-w4a16");

    compress(compressed, gptq, direct);
    compress(plain, gptq, twoSteps);

    assertThat(Golden.digests(direct)).containsExactlyEntriesOf(Golden.digests(twoSteps));
  }

  @Test
  void withoutBeingAskedToItIsRefused() {
    assertThatThrownBy(
            () ->
                CompressionPlan.of(
                    Golden.request(
                        foreign("autoawq"), Golden.recipe("rtn-w4a16"), folder.resolve("out"))))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("compressed already (AutoAWQ)")
        .hasMessageContaining("--dequantize");
    assertThatThrownBy(
            () -> Conversion.run(Golden.BASE, folder.resolve("out"), SHARD, 2, new Cancellation()))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("isn't quantized");
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void anotherToolsModelCanBeEvaluated() {
    LoadedModel model = LoadedModel.open(foreign("modelopt-nvfp4"));
    String name = "model.layers.0.mlp.down_proj.weight";

    assertThat(model.quantization()).isEmpty();
    assertThat(model.architecture().layers()).isEqualTo(1);
    assertThat(model.checkpoint().require(name).shape()).isEqualTo(Shape.of(64, 96));
  }

  private static void compress(Path model, Recipe recipe, Path output) {
    CompressRequest request = Golden.request(model, recipe, output);
    CompressionPlan plan = CompressionPlan.of(request, SourceModel.dequantized(model));
    try (Device device = new CpuDevice(2)) {
      new Compressor(device, request, plan, ProgressListener.NONE, new Cancellation()).run();
    }
  }

  /** The weight as evaluation has it, in float32, rounded to what the plain model's is. */
  private static float[] loaded(LoadedModel model, String name, WeightLayout layout, DType dtype) {
    try (Device device = new CpuDevice(2);
        Scope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      Tensor weight = model.weights(device).load(name, layout.rows(), layout.columns(), scope);
      HostTensor host = device.onHost(weight, Shape.of(layout.rows(), layout.columns()), arena);
      float[] values = host.data().toArray(ValueLayout.JAVA_FLOAT);
      for (int i = 0; i < values.length; i++) {
        values[i] = Rounding.to(dtype, values[i]);
      }
      return values;
    }
  }

  private static float[] read(Checkpoint checkpoint, String name) {
    try (Arena arena = Arena.ofConfined()) {
      HostTensor host = checkpoint.read(name, arena);
      float[] values = new float[Math.toIntExact(host.shape().elements())];
      for (int i = 0; i < values.length; i++) {
        values[i] = host.floatAt(i);
      }
      return values;
    }
  }

  // ---- what can't be read

  private static final String MODULE = "model.layers.0.mlp.up_proj";

  record Damage(
      String source,
      Consumer<ObjectNode> config,
      UnaryOperator<String> rename,
      List<String> message) {
    @Override
    public String toString() {
      return source + " " + message;
    }
  }

  static Stream<Damage> damages() {
    Consumer<ObjectNode> none = config -> {};
    return Stream.of(
        new Damage(
            "fp8-block",
            none,
            name -> name.replace("up_proj.weight_scale_inv", "up_proj.extra"),
            List.of("has no tensor " + MODULE + ".weight_scale")),
        new Damage(
            "fp8-block",
            config -> quantization(config).putArray("weight_block_size").add(64).add(64),
            name -> name,
            List.of("weight_scale_inv", "with blocks of 64×64 it must be [3, 3]")),
        new Damage(
            "autoawq",
            config -> quantization(config).put("version", "gemv"),
            name -> name,
            List.of("4 bits in version gemv", "version gemm")),
        new Damage(
            "autoawq",
            none,
            name -> name.replace("up_proj.scales", "up_proj.scale"),
            List.of("has no tensor " + MODULE + ".scales")),
        new Damage(
            "autoawq",
            config -> quantization(config).put("quant_method", "fp8"),
            name -> name,
            List.of(".q", "is I32", "not in a form that Quench can dequantize")),
        new Damage(
            "modelopt-nvfp4",
            none,
            name -> name.replace("up_proj.weight_scale_2", "up_proj.other"),
            List.of(MODULE + ".weight", "is U8", "not in a form that Quench can dequantize")),
        new Damage(
            "modelopt-nvfp4",
            none,
            name -> name.replace("up_proj.input_scale", "up_proj.pre_quant_scale"),
            List.of(MODULE + ".pre_quant_scale", "which Quench can't undo")),
        new Damage(
            "modelopt-nvfp4",
            config -> quantization(config).put("quant_method", "bitsandbytes"),
            name -> name,
            List.of("quant_method of quantization_config is bitsandbytes", "awq")));
  }

  private static ObjectNode quantization(ObjectNode config) {
    return (ObjectNode) config.get("quantization_config");
  }

  @ParameterizedTest
  @MethodSource("damages")
  void whatCantBeReadIsRefusedBeforeAnythingIsWritten(Damage damage) {
    Path model = damaged(damage);

    assertThatThrownBy(
            () -> Conversion.run(model, folder.resolve("out"), SHARD, 2, new Cancellation()))
        .isInstanceOf(InvalidInputException.class)
        .satisfies(e -> assertThat(e.getMessage()).contains(damage.message()));
    assertThat(folder.resolve("out.partial")).doesNotExist();
  }

  private Path damaged(Damage damage) {
    Checkpoint source = Checkpoint.open(foreign(damage.source()));
    Map<String, TensorInfo> tensors = new TreeMap<>();
    source
        .tensors()
        .values()
        .forEach(
            tensor -> {
              String name = damage.rename().apply(tensor.name());
              tensors.put(name, tensor.withName(name));
            });
    ObjectNode config = source.config();
    damage.config().accept(config);
    Path model = folder.resolve("damaged");
    OutputLayout layout =
        OutputLayout.plan(
            tensors.values().stream()
                .map(tensor -> new OutputTensor(tensor.name(), tensor.dtype(), tensor.shape()))
                .toList(),
            SHARD);
    try (CheckpointWriter writer = CheckpointWriter.create(model, layout)) {
      tensors.values().forEach(writer::copy);
      writer.finish(config, List.of(), Map.of());
    }
    return model;
  }
}
