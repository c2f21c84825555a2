package dev.quench.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import tools.jackson.databind.json.JsonMapper;

/** A small Llama with seeded random bf16 weights. */
final class TinyModel {
  static final int VOCABULARY = 64;
  static final int HIDDEN = 128;

  private static final JsonMapper JSON = new JsonMapper();

  /** A bf16 tensor. */
  private record Weights(int[] shape, short[] values) {
    byte[] bytes() {
      ByteBuffer bytes =
          ByteBuffer.allocate(values.length * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      bytes.asShortBuffer().put(values);
      return bytes.array();
    }
  }

  private final Random random = new Random(1);
  private final Map<String, Object> config = new LinkedHashMap<>();
  private final Map<String, Weights> tensors = new LinkedHashMap<>();

  /** Hidden size 128, so that groups of 128 fit. */
  TinyModel(int layers) {
    this(layers, HIDDEN);
  }

  /**
   * @param hidden a multiple of 8
   */
  TinyModel(int layers, int hidden) {
    int intermediate = 2 * hidden;
    config.put("architectures", List.of("LlamaForCausalLM"));
    config.put("model_type", "llama");
    config.put("hidden_size", hidden);
    config.put("intermediate_size", intermediate);
    config.put("num_hidden_layers", layers);
    config.put("num_attention_heads", 4);
    config.put("num_key_value_heads", 2);
    config.put("vocab_size", VOCABULARY);
    config.put("max_position_embeddings", 128);
    config.put("rms_norm_eps", 1e-5);
    config.put("torch_dtype", "bfloat16");
    matrix("model.embed_tokens.weight", VOCABULARY, hidden);
    for (int i = 0; i < layers; i++) {
      String layer = "model.layers." + i + ".";
      matrix(layer + "self_attn.q_proj.weight", hidden, hidden);
      matrix(layer + "self_attn.k_proj.weight", hidden / 2, hidden);
      matrix(layer + "self_attn.v_proj.weight", hidden / 2, hidden);
      matrix(layer + "self_attn.o_proj.weight", hidden, hidden);
      matrix(layer + "mlp.gate_proj.weight", intermediate, hidden);
      matrix(layer + "mlp.up_proj.weight", intermediate, hidden);
      matrix(layer + "mlp.down_proj.weight", hidden, intermediate);
      ones(layer + "input_layernorm.weight", hidden);
      ones(layer + "post_attention_layernorm.weight", hidden);
    }
    ones("model.norm.weight", hidden);
    matrix("lm_head.weight", VOCABULARY, hidden);
  }

  private void matrix(String name, int rows, int columns) {
    short[] values = new short[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = bfloat16((float) (random.nextGaussian() / Math.sqrt(columns)));
    }
    tensors.put(name, new Weights(new int[] {rows, columns}, values));
  }

  private void ones(String name, int size) {
    short[] values = new short[size];
    Arrays.fill(values, bfloat16(1));
    tensors.put(name, new Weights(new int[] {size}, values));
  }

  /** Cut, not rounded: random weights don't mind, and NaN and infinity stay what they are. */
  private static short bfloat16(float value) {
    return (short) (Float.floatToRawIntBits(value) >>> 16);
  }

  /** Puts a value into a tensor, at a position counted along its rows. */
  TinyModel set(String tensor, int position, float value) {
    weights(tensor).values()[position] = bfloat16(value);
    return this;
  }

  private Weights weights(String tensor) {
    Weights weights = tensors.get(tensor);
    if (weights == null) {
      throw new IllegalArgumentException(tensor);
    }
    return weights;
  }

  /** Sets a key of config.json. */
  TinyModel config(String key, Object value) {
    config.put(key, value);
    return this;
  }

  /** Removes a key of config.json. */
  TinyModel without(String key) {
    config.remove(key);
    return this;
  }

  /** Writes config.json and model.safetensors. */
  Path write(Path folder) throws IOException {
    Files.createDirectories(folder);
    Files.writeString(folder.resolve("config.json"), JSON.writeValueAsString(config));
    Files.write(folder.resolve("model.safetensors"), safetensors(List.copyOf(tensors.keySet())));
    return folder;
  }

  /** Writes config.json, an index, and the tensors dealt out to shards in turn. */
  Path writeSharded(Path folder, int shards) throws IOException {
    Files.createDirectories(folder);
    Files.writeString(folder.resolve("config.json"), JSON.writeValueAsString(config));
    List<String> names = List.copyOf(tensors.keySet());
    Map<String, String> weightMap = new LinkedHashMap<>();
    for (int s = 0; s < shards; s++) {
      int shard = s;
      String file = "model-%05d-of-%05d.safetensors".formatted(s + 1, shards);
      List<String> own =
          IntStream.range(0, names.size())
              .filter(i -> i % shards == shard)
              .mapToObj(names::get)
              .toList();
      own.forEach(name -> weightMap.put(name, file));
      Files.write(folder.resolve(file), safetensors(own));
    }
    Files.writeString(
        folder.resolve("model.safetensors.index.json"),
        JSON.writeValueAsString(Map.of("metadata", Map.of(), "weight_map", weightMap)));
    return folder;
  }

  private byte[] safetensors(List<String> names) {
    Map<String, Object> header = new LinkedHashMap<>();
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    for (String name : names) {
      Weights weights = weights(name);
      int begin = data.size();
      data.writeBytes(weights.bytes());
      header.put(
          name,
          Map.of(
              "dtype", "BF16",
              "shape", weights.shape(),
              "data_offsets", List.of(begin, data.size())));
    }
    return safetensors(JSON.writeValueAsString(header), data.toByteArray());
  }

  /** A file with this header, right or wrong. */
  static byte[] safetensors(String header, byte[] data) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(Long.BYTES + json.length + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .put(data)
        .array();
  }

  /** Writes rows of random token ids as JSON lines. */
  static Path writeRows(Path file, int rows, int length) throws IOException {
    Random random = new Random(2);
    String lines =
        IntStream.range(0, rows)
            .mapToObj(
                row ->
                    random
                        .ints(length, 0, VOCABULARY)
                        .mapToObj(Integer::toString)
                        .collect(Collectors.joining(",", "{\"input_ids\":[", "]}\n")))
            .collect(Collectors.joining());
    return Files.writeString(file, lines);
  }
}
