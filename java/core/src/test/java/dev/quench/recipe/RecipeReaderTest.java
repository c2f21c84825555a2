package dev.quench.recipe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.InvalidInputException;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.ActOrder;
import dev.quench.quantization.QuantizationScheme;
import dev.quench.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RecipeReaderTest {
  private static final String GPTQ =
      """
      a_stage:
        b_modifiers:
          GPTQModifier:
            targets: Linear
            scheme: w4a16
            ignore: [lm_head, 're:.*up_proj']
            block_size: 64
            dampening_frac: 1e-3
            group: quantization
            start: null
      """;

  @Test
  void readsStagesOfGroupsOfModifiers() {
    Recipe recipe = parse(GPTQ);

    assertThat(recipe.source()).isEqualTo(GPTQ);
    GptqSpec gptq = (GptqSpec) recipe.modifiers().getFirst();
    assertThat(gptq.origin()).isEqualTo("recipe.yaml, line 3");
    assertThat(gptq.blockSize()).isEqualTo(64);
    assertThat(gptq.dampeningFraction()).isEqualTo(1e-3);
    assertThat(gptq.notes()).isEmpty();
    assertThat(gptq.quantization().ignore()).containsExactly("lm_head", "re:.*up_proj");
    assertThat(gptq.quantization().targets()).containsExactly("Linear");
    assertThat(weights(gptq).groupSize()).contains(128);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "QuantizationModifier: {scheme: W4A16}\nGPTQModifier: {scheme: W8A8}",
        "- QuantizationModifier: {scheme: W4A16}\n- GPTQModifier: {scheme: W8A8}",
        "x_modifiers:\n  QuantizationModifier: {scheme: W4A16}\n  GPTQModifier: {scheme: W8A8}",
        "x_modifiers:\n  - QuantizationModifier: {scheme: W4A16}\n  - GPTQModifier: {scheme: W8A8}",
        "x_stage:\n  y_modifiers:\n    QuantizationModifier: {scheme: W4A16}\n"
            + "z_stage:\n  y_modifiers:\n    GPTQModifier: {scheme: W8A8}",
        "{\"QuantizationModifier\": {\"scheme\": \"W4A16\"}, \"GPTQModifier\": {\"scheme\": \"W8A8\"}}",
      })
  void outerLevelsMayBeLeftOutAndOrderIsKept(String text) {
    assertThat(parse(text).modifiers())
        .extracting(ModifierSpec::name)
        .containsExactly("QuantizationModifier", "GPTQModifier");
  }

  @Test
  void readsJsonAndMarkdownFilesWithTheLinesOfTheFile(@TempDir Path folder) throws IOException {
    Path json = folder.resolve("recipe.json");
    Files.writeString(json, "{\n\t\"GPTQModifier\": {\"scheme\": \"W4A16\"}\n}");
    Path markdown = folder.resolve("recipe.md");
    Files.writeString(markdown, "\n---\nGPTQModifier:\n  scheme: W4A16\n---\n# Why\nIt is good.\n");

    assertThat(RecipeReader.read(json).modifiers().getFirst().origin())
        .isEqualTo(json + ", line 2");
    Recipe recipe = RecipeReader.read(markdown);
    assertThat(recipe.modifiers().getFirst().origin()).isEqualTo(markdown + ", line 3");
    assertThat(recipe.source()).isEqualTo("GPTQModifier:\n  scheme: W4A16\n");
  }

  @Test
  void refusesFilesThatAreNoRecipes(@TempDir Path folder) throws IOException {
    Path missing = folder.resolve("missing.yaml");
    Path binary = Files.write(folder.resolve("binary.yaml"), new byte[] {(byte) 0xff, 1});
    Path markdown = Files.writeString(folder.resolve("plain.md"), "# no recipe\n");

    assertThatThrownBy(() -> RecipeReader.read(missing))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(missing.toString());
    assertThatThrownBy(() -> RecipeReader.read(binary))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("isn't UTF-8 text");
    assertThatThrownBy(() -> RecipeReader.read(markdown))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("no front matter");
  }

  /** Columns: recipe with {@code /} for line ends, line of the complaint, part of its text. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          GPTQModifer: {scheme: W4A16}                                  | 1 | there is no modifier "GPTQModifer". Did you mean GPTQModifier
          a_stage:/  b_modifiers:/    Quantize: {}                      | 3 | there is no modifier "Quantize". Did you mean
          /AWQModifier: {}                                              | 2 | AWQModifier is not supported yet
          run_type: oneshot                                             | 1 | "run_type" can't stand in a recipe
          a_stage:/  run_type: train                                    | 2 | run_type must be oneshot
          a_stage: [GPTQModifier]                                       | 1 | a_stage must be a map
          b_modifiers: GPTQModifier                                     | 1 | b_modifiers must be a map of modifiers, found "GPTQModifier"
          - GPTQModifier                                                | 1 | expected a modifier and its fields, found "GPTQModifier"
          GPTQModifier: W4A16                                           | 1 | GPTQModifier must be a map of fields, found "W4A16"
          GPTQModifier:/  scheme: W4A16/  dampning_frac: 0.1            | 3 | GPTQModifier has no field "dampning_frac". Did you mean dampening_frac
          QuantizationModifier:/  scheme: W4A16/  block_size: 128       | 3 | QuantizationModifier has no field "block_size"
          GPTQModifier: {scheme: W4A16}/GPTQModifier: {scheme: W8A8}    | 2 | "GPTQModifier" is given a second time, first in line 1
          GPTQModifier:/  scheme: W4A16/  scheme: W8A8                  | 3 | "scheme" is given a second time, first in line 2
          GPTQModifier:/  scheme: W4A16/  block_size: a lot             | 3 | block_size of GPTQModifier must be a positive whole number, found "a lot"
          GPTQModifier:/  scheme: W4A16/  block_size: 0                 | 3 | block_size of GPTQModifier must be a positive whole number, found 0
          GPTQModifier:/  scheme: W4A16/  dampening_frac: -1            | 3 | must be a number that isn't negative, found -1
          GPTQModifier:/  scheme: W4A16/  offload_hessians: 3           | 3 | must be true or false, found 3
          GPTQModifier:/  scheme: W4A16/  start: 0.5                    | 3 | start of GPTQModifier has no meaning in a compression run
          GPTQModifier:/  scheme: W4A16/  ignore: [1]                   | 3 | ignore of GPTQModifier must be a list of strings, found 1
          GPTQModifier:/  scheme: W4A16/  ignore: {a: b}                | 3 | must be a list of strings
          GPTQModifier:/  scheme: W4A16/  targets: []                   | 3 | targets of GPTQModifier must name at least one module
          GPTQModifier:/  scheme: W4A61                                 | 2 | there is no scheme "W4A61". Did you mean W4A16
          GPTQModifier:/  scheme: [W4A16]                               | 2 | must be the name of a scheme, or a map
          GPTQModifier:/  scheme: {}                                    | 2 | scheme of GPTQModifier has no group
          GPTQModifier:/  scheme:/    W4A16: []                         | 3 | must name at least one module
          GPTQModifier:/  scheme:/    W4A16: [Linear]/  targets: [a]    | 4 | targets of GPTQModifier has no effect beside a map of schemes
          GPTQModifier:/  scheme: W4A16/  config_groups: {a: {}}        | 2 | can't stand beside config_groups
          GPTQModifier:/  config_groups: {}                             | 2 | config_groups of GPTQModifier has no group
          GPTQModifier:/  config_groups:/    a: {weights: {}}           | 3 | targets of GPTQModifier config_groups a must name at least one module
          GPTQModifier:/  config_groups:/    a:/      target: [Linear]  | 4 | has no field "target". Did you mean targets
          QuantizationModifier: {targets: Linear}                       | 1 | needs a scheme, config_groups or a kv_cache_scheme
          QuantizationModifier:                                         | 1 | needs a scheme, config_groups or a kv_cache_scheme
          GPTQModifier: {scheme: W4A16, actorder: group}                | 1 | write 'static' or 'weight'
          GPTQModifier: {scheme: W4A16, actorder: true}                 | 1 | write 'static' or 'weight'
          GPTQModifier: {scheme: W4A16, actorder: desc}                 | 1 | must be 'static', 'weight' or null, found "desc"
          GPTQModifier:/  actorder: weight                              | 2 | has no effect without a scheme of GPTQModifier's own
          GPTQModifier: {scheme: W4A16, ignore: *a}                     | 1 | the YAML alias *a must be written out
          GPTQModifier: {scheme: [/b: c                                 | 2 | isn't valid YAML: expected ',' or ']'
          GPTQModifier: {scheme: W4A16}/---/a: b                        | 3 | a recipe is one document
          """)
  void complaintsNameTheLine(String text, int line, String message) {
    assertThatThrownBy(() -> parse(text.replace('/', '\n')))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("recipe.yaml, line " + line)
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "# nothing", "a_stage: {}", "a_stage: {b_modifiers: {}}", "[]", "text"})
  void aRecipeHasModifiers(String text) {
    assertThatThrownBy(() -> parse(text))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("recipe.yaml ");
  }

  /** Parsed, but not executable yet: never skipped. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          scheme: W8A8/  kv_cache_scheme: {strategy: group, group_size: 32} | 3 | kv_cache_scheme of QuantizationModifier: strategy group can't be used for keys and values; legal are tensor and attn_head
          scheme: W8A8/  kv_cache_scheme: {num_bits: 4, type: float, strategy: tensor} | 3 | one scale for all needs type int, or type float with num_bits 8
          scheme: W8A8/  kv_cache_scheme: {strategy: tensor, observer: mean} | 3 | there is no observer "mean"
          scheme: W8A8/  kv_cache_scheme: {bits: 8}                   | 3 | unknown field "bits". Did you mean num_bits
          ignore: [lm_head]                                           | 1 | QuantizationModifier needs a scheme, config_groups or a kv_cache_scheme
          scheme: W8A8/  bypass_divisibility_checks: true             | 3 | bypass_divisibility_checks
          scheme: FP8/  input_observer: mean                          | 2 | input_activations: there is no observer "mean"
          scheme: FP8/  input_observer: imatrix_mse                   | 2 | observer imatrix_mse is for weights; mse weighs errors alike
          scheme: W8A8/  output_observer: minmax                      | 3 | output_observer of QuantizationModifier is not supported yet
          scheme: W8A8/  observer: {output: minmax}                   | 3 | output of QuantizationModifier observer is not supported yet
          scheme: W8A8/  observer: {weight: minmax}                   | 3 | has no field "weight". Did you mean weights
          scheme: W8A8/  observer: {weights: mean}                    | 2 | there is no observer "mean". Did you mean
          scheme: FP8/  weight_observer: imatrix_mse                  | 2 | observer imatrix_mse weighs the columns of a row, so it needs strategy channel, group or tensor_group
          scheme: W8A8/  weight_observer: minmax/  observer: {weights: minmax} | 4 | can't stand beside weight_observer
          config_groups: {a: {targets: Linear, weights: {}, input_activations: {strategy: group, group_size: 32}}} | 2 | input_activations: strategy group can't be used with dynamic: false
          config_groups: {a: {targets: Linear, weights: {}, input_activations: {num_bits: 4, type: float, strategy: tensor}}} | 2 | one scale for all needs type int, or type float with num_bits 8
          config_groups: {a: {targets: Linear, weights: {}, input_activations: {strategy: tensor_group, group_size: 16, dynamic: local}}} | 2 | dynamic: local needs type float, num_bits 4, strategy tensor_group, group_size 16
          config_groups: {a: {targets: Linear}}                       | 2 | there is nothing to quantize; give weights, or for attention modules input_activations
          config_groups: {a: {targets: LlamaAttention, input_activations: {strategy: token, dynamic: true}}} | 2 | strategy token can't be used for keys and values
          config_groups: {a: {targets: LlamaAttention, input_activations: {strategy: tensor, dynamic: true}}} | 2 | dynamic must be false for attention
          config_groups: {a: {targets: LlamaAttention, input_activations: {strategy: tensor}, format: pack-quantized}} | 2 | format pack-quantized is of weights, and there are none
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, strategy: channel, observer: imatrix_mse, observer_kwargs: {patience: -1}}}} | 2 | patience must be a whole number from 0 on, found -1
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, strategy: channel, observer: imatrix_mse, observer_kwargs: {chunk_size: 1}}}} | 2 | observer imatrix_mse has no argument "chunk_size"
          config_groups: {a: {targets: Linear, weights: {num_bits: 9}}} | 2 | num_bits 9 can't be used with type int: legal are 1 to 8 for int, 4 and 8 for float
          config_groups: {a: {targets: Linear, weights: {num_bits: 6, type: float}}} | 2 | num_bits 6 can't be used with type float
          config_groups: {a: {targets: Linear, weights: {type: float, symmetric: false}}} | 2 | symmetric: false can't be used with type float
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, type: float}}} | 2 | type float with num_bits 4 needs scale_dtype float8_e4m3fn
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, type: float, group_size: 16, scale_dtype: float8_e4m3fn}}} | 2 | scale_dtype float8_e4m3fn needs type float, num_bits 4, strategy tensor_group, group_size 16
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, group_size: 32, scale_dtype: uint8}}} | 2 | scale_dtype uint8 needs type float, strategy group and group_size 32
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, scale_dtype: float32}}} | 2 | scale_dtype can't be f32
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, scale_dtype: float4}}} | 2 | scale_dtype must be one of float8_e4m3fn, uint8
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, strategy: tensor_group, group_size: 32}}} | 2 | strategy tensor_group can't be used for these weights; legal are tensor, channel, group and block
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, strategy: tensor, dynamic: true}}} | 2 | dynamic must be false
          config_groups: {a: {targets: Linear, weights: {strategy: token}}} | 2 | strategy token needs dynamic: true
          config_groups: {a: {targets: Linear, weights: {strategy: group}}} | 2 | strategy group needs a positive group_size
          config_groups: {a: {targets: Linear, weights: {strategy: block}}} | 2 | strategy block needs a block_structure
          config_groups: {a: {targets: Linear, weights: {strategy: channel, block_structure: [8, 8]}}} | 2 | block_structure needs strategy block, not channel
          config_groups: {a: {targets: Linear, weights: {strategy: block, block_structure: [8]}}} | 2 | block_structure must be two numbers
          config_groups: {a: {targets: Linear, weights: {strategy: rows}}} | 2 | strategy must be one of tensor, channel, group, tensor_group, block, token, attn_head, found rows
          config_groups: {a: {targets: Linear, weights: {group_size: 0}}} | 2 | group_size must be a positive number, or -1 for channel
          config_groups: {a: {targets: Linear, weights: {}, input_activations: {strategy: channel}}} | 2 | strategy channel is for weights; legal are token
          config_groups: {a: {targets: Linear, weights: {}, input_activations: {strategy: channel, dynamic: true}}} | 2 | dynamic: true can't be used with strategy channel
          config_groups: {a: {targets: Linear, weights: {}, input_activations: {strategy: token, dynamic: local}}} | 2 | dynamic: local can only be used with strategy tensor_group
          config_groups: {a: {targets: Linear, weights: {}, input_activations: {strategy: token, dynamic: maybe}}} | 2 | dynamic must be true, false or local
          config_groups: {a: {targets: Linear, weights: {}, input_activations: {strategy: token, dynamic: true, actorder: static}}} | 2 | actorder is an order of a weight's columns
          config_groups: {a: {targets: Linear, weights: {}, format: mixed-precision}} | 2 | format mixed-precision is that of a checkpoint
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, strategy: channel, actorder: group}}} | 2 | actorder group can't be used with strategy channel
          config_groups: {a: {targets: Linear, weights: {num_bits: 4}, format: dense}} | 2 | format dense can't hold these weights; legal are pack-quantized, int-quantized, naive-quantized
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, group_size: 32, actorder: group}}} | 2 | write 'static' or 'weight'
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, observer_kwargs: {norm: 2.0}}}} | 2 | observer memoryless_minmax has no argument "norm" in observer_kwargs. Did you mean averaging_constant? Legal are averaging_constant
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, observer: mse, observer_kwargs: {nrm: 2.0}}}} | 2 | observer mse has no argument "nrm" in observer_kwargs. Did you mean norm
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, observer: mse, observer_kwargs: {norm: 0}}}} | 2 | norm must be a number above 0, found 0
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, observer: mse, observer_kwargs: {maxshrink: 1.5}}}} | 2 | maxshrink must be a number above 0 and at most 1, found 1.5
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, observer: mse, observer_kwargs: {grid: 4}}}} | 2 | maxshrink 0.2 of grid 4 is less than one step
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, observer: mse, observer_kwargs: {patience: many}}}} | 2 | patience must be a positive whole number, found many
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, observer_kwargs: {averaging_constant: 2}}}} | 2 | averaging_constant must be a number from 0 to 1, found 2
          config_groups: {a: {targets: Linear, weights: {num_bits: 4}, output_activations: {num_bits: 8}}} | 2 | output_activations is not supported yet
          config_groups: {a: {targets: Linear, weights: {num_bits: 4}, format: float-quantized}} | 2 | format float-quantized can't hold these weights; legal are pack-quantized
          config_groups: {a: {targets: Linear, weights: {num_bits: 4}, format: packed}} | 2 | format of QuantizationModifier config_groups a "packed" doesn't exist
          config_groups: {a: {targets: Linear, weights: {bits: 4}}}   | 2 | unknown field "bits". Did you mean num_bits
          config_groups: {a: {targets: Linear, weights: 4}}           | 2 | weights of QuantizationModifier config_groups a must be a map, found 4
          config_groups: {a: {targets: Linear, weights: {num_bits: 4, group_size: 32, strategy: channel}}} | 2 | group_size 32 can't be used with strategy channel
          """)
  void refusesWhatCannotBeExecutedYet(String fields, int line, String message) {
    assertThatThrownBy(() -> parse("QuantizationModifier:\n  " + fields.replace('/', '\n')))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("recipe.yaml, line " + line)
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{num_bits: 2, strategy: tensor}",
        "{num_bits: 3, strategy: channel, symmetric: false, observer: minmax}",
        "{num_bits: 8, group_size: 32, observer: static_minmax}",
        "{num_bits: 5, strategy: block, block_structure: 64x32}",
        "{type: float, strategy: tensor}",
        "{type: float, strategy: channel, observer: minmax, observer_kwargs: {averaging_constant: 0.01}}",
        "{type: float, strategy: group, group_size: 64}",
        "{type: float, strategy: block, block_structure: [128, 128]}",
        "{num_bits: 1, group_size: 128}",
        "{num_bits: 4, group_size: 128, observer: mse, observer_kwargs: {norm: 2, grid: 50, maxshrink: 0.5, patience: 3, expand: 1.1, chunk_size: 5, averaging_constant: 0.1}}",
        "{num_bits: 4, group_size: 128, observer: memoryless_mse}",
        "{num_bits: 4, group_size: 128, observer: nvfp4_expanded_mse}",
        "{num_bits: 4, group_size: 128, observer: imatrix_mse, observer_kwargs: {maxshrink: 0.95, grid: 20, norm: 3.0, patience: 0, strict: true, expand: 1.0}}",
        "{num_bits: 4, strategy: channel, observer: nvfp4_expanded_imatrix}",
        "{num_bits: 4, group_size: -1}",
        "{num_bits: 4, type: float, group_size: 32, scale_dtype: torch.uint8}",
        "{num_bits: 8, type: float, group_size: 32, scale_dtype: uint8, zp_dtype: uint8}",
        "{num_bits: 4, type: float, strategy: tensor_group, group_size: 16, scale_dtype: float8_e4m3fn, zp_dtype: float8_e4m3fn}",
      })
  void acceptsWhatCanBeExecuted(String weights) {
    String recipe =
        "QuantizationModifier: {config_groups: {a: {targets: [Linear], weights: %s}}}"
            .formatted(weights);

    assertThat(parse(recipe).modifiers()).hasSize(1);
  }

  @Test
  void symmetricZeroPointsHaveNoDtype() {
    String weights = "{num_bits: 4, zp_dtype: int8, symmetric: %s}";
    String recipe =
        "QuantizationModifier: {config_groups: {a: {targets: [Linear], weights: " + weights + "}}}";

    assertThat(only(recipe.formatted(true)).zeroPointDtype()).isEmpty();
    assertThat(only(recipe.formatted(false)).zeroPointDtype()).contains(DType.I8);
  }

  @ParameterizedTest
  @ValueSource(strings = {"NVFP4A16", "MXFP4", "MXFP8A16"})
  void gptqDoesNotRoundToMicroscalingFormatsYet(String scheme) {
    assertThatThrownBy(() -> parse("GPTQModifier: {scheme: %s}".formatted(scheme)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("recipe.yaml, line 1")
        .hasMessageContaining("GPTQModifier with scale_dtype")
        .hasMessageContaining("not supported yet; use QuantizationModifier");
  }

  @Test
  void theObserverOfAModifierIsThatOfItsWeights() {
    assertThat(only("QuantizationModifier: {scheme: W4A16, weight_observer: minmax}").observer())
        .contains("minmax");
    assertThat(
            only("QuantizationModifier: {scheme: W4A16, observer: {weights: static_minmax}}")
                .observer())
        .contains("static_minmax");
  }

  @Test
  void theObserverOfAModifierIsThatOfItsInputs() {
    assertThat(inputObserver("QuantizationModifier: {scheme: FP8}")).contains("static_minmax");
    assertThat(inputObserver("QuantizationModifier: {scheme: FP8, input_observer: mse}"))
        .contains("mse");
    assertThat(inputObserver("QuantizationModifier: {scheme: NVFP4, observer: {input: minmax}}"))
        .contains("minmax");
    assertThat(inputObserver("QuantizationModifier: {scheme: W8A8, input_observer: mse}"))
        .isEmpty();
    assertThat(
            inputObserver(
                "QuantizationModifier: {config_groups: {a: {targets: [Linear], weights: {}, input_activations: {strategy: tensor}}}}"))
        .contains("minmax");
  }

  private static Optional<String> inputObserver(String recipe) {
    return parse(recipe)
        .modifiers()
        .getFirst()
        .quantization()
        .groups()
        .values()
        .iterator()
        .next()
        .inputActivations()
        .orElseThrow()
        .observer();
  }

  /** Columns: modifier's actorder, that of the weights, the one that counts. */
  @ParameterizedTest
  @CsvSource({
    "absent, null, STATIC",
    "absent, weight, WEIGHT",
    "absent, static, STATIC",
    "null, null, none",
    "weight, null, WEIGHT",
    "static, null, STATIC",
    "static, static, STATIC",
    "weight, static, STATIC",
    "false, null, none",
  })
  void actOrderOfTheModifierFillsInThatOfTheWeights(
      String modifier, String weights, String expected) {
    Optional<ActOrder> order = only(gptq(modifier, weights)).actOrder();

    assertThat(order.map(Enum::name).orElse("none")).isEqualTo(expected);
  }

  @Test
  void anActOrderThatContradictsTheWeightsIsAnError() {
    assertThatThrownBy(() -> parse(gptq("null", "static")))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith("recipe.yaml, line 2")
        .hasMessageContaining("conflicts with actorder static of the weights");
  }

  @Test
  void anOptionWithoutEffectIsNoted() {
    ModifierSpec gptq =
        parse("GPTQModifier:\n  scheme: W4A16\n  offload_hessians: true").modifiers().getFirst();

    assertThat(gptq.notes())
        .singleElement()
        .asString()
        .startsWith("recipe.yaml, line 3: offload_hessians")
        .contains("no effect");
  }

  @Test
  void severalSchemesBecomeGroupsInOrder() {
    ModifierSpec modifier =
        parse(
                """
                QuantizationModifier:
                  scheme:
                    W8A8: ['re:.*mlp.*', 're:.*q_proj']
                    FP8_DYNAMIC: 're:.*self_attn.*'
                """)
            .modifiers()
            .getFirst();

    assertThat(modifier.quantization().groups()).containsOnlyKeys("group_0", "group_1");
    assertThat(modifier.quantization().groups().get("group_1"))
        .isNotNull()
        .returns(List.of("re:.*self_attn.*"), QuantizationScheme::targets);
    assertThat(modifier.quantization().targets())
        .containsExactly("re:.*mlp.*", "re:.*q_proj", "re:.*self_attn.*");
  }

  private static String gptq(String modifier, String weights) {
    return """
        GPTQModifier:
          %s
          config_groups: {a: {targets: [Linear], weights: {num_bits: 4, group_size: 64, actorder: %s}}}
        """
        .formatted(
            modifier.equals("absent") ? "ignore: [lm_head]" : "actorder: " + modifier, weights);
  }

  private static QuantizationArgs only(String recipe) {
    return weights(parse(recipe).modifiers().getFirst());
  }

  private static QuantizationArgs weights(ModifierSpec modifier) {
    List<QuantizationScheme> groups = List.copyOf(modifier.quantization().groups().values());
    assertThat(groups).hasSize(1);
    return groups.getFirst().weights().orElseThrow();
  }

  private static Recipe parse(String text) {
    return RecipeReader.parse(text, "recipe.yaml");
  }
}
