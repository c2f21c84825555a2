package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.calibration.CalibrationData;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
import dev.quench.progress.ProgressListener;
import dev.quench.recipe.Recipe;
import dev.quench.recipe.RecipeReader;
import dev.quench.tensor.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What llm-compressor 0.14 (compressed-tensors 0.19, transformers 5.17) made of a Llama of two
 * layers with random, heavy-tailed weights, and of a Qwen3-MoE of two layers, the second with four
 * experts: for each recipe its config.json, and name, dtype, shape and SHA-256 of every tensor.
 */
final class Golden {
  static final Path BASE = resource("/golden/llama/base");

  /** The folder of a recipe of the Qwen3-MoE; {@code base} has the original. */
  static Path moe(String name) {
    return resource("/golden/qwen3moe/" + name);
  }

  private static final JsonMapper MAPPER = JsonMapper.builder().build();

  /** Data in a file may start at any byte. */
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** Every which row of the golden codes is kept. */
  private static final int CODE_ROWS = 8;

  private Golden() {}

  /** A tensor without its bytes. */
  record Digest(String dtype, String shape, String sha256) {}

  static Path resource(String name) {
    return Path.of(
        URI.create(Objects.requireNonNull(Golden.class.getResource(name), name).toString()));
  }

  static JsonNode json(Path file) {
    return MAPPER.readTree(text(file));
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Recipe recipe(String name) {
    return RecipeReader.read(resource("/dev/quench/recipe/" + name + ".yaml"));
  }

  /** The rows that everything was calibrated with, in that order, one at a time. */
  static CalibrationData calibration() {
    List<int[]> rows = new ArrayList<>();
    for (JsonNode row : json(resource("/golden/llama/calibration_ids.json"))) {
      int[] ids = new int[row.size()];
      for (int i = 0; i < ids.length; i++) {
        ids[i] = row.get(i).asInt();
      }
      rows.add(ids);
    }
    return new CalibrationData(rows, "calibration_ids.json", List.of());
  }

  static CompressRequest request(Recipe recipe, Path output) {
    return request(BASE, recipe, output);
  }

  static CompressRequest request(Path model, Recipe recipe, Path output) {
    return new CompressRequest(
        model,
        output,
        recipe,
        Optional.of(calibration()),
        256,
        Propagation.STEP,
        DType.F32,
        5_000_000_000L,
        0,
        false,
        resources(output));
  }

  static CompressRequest with(
      CompressRequest request, Propagation propagation, DType activations, boolean resume) {
    return new CompressRequest(
        request.model(),
        request.output(),
        request.recipe(),
        request.calibration(),
        request.batchTokens(),
        propagation,
        activations,
        request.maxShardSize(),
        request.maxFallbacks(),
        resume,
        request.resources());
  }

  static Resources resources(Path output) {
    return new Resources(1L << 30, output.resolveSibling("spill"));
  }

  static CompressionReport compress(Device device, CompressRequest request) {
    return new Compressor(
            device, request, CompressionPlan.of(request), ProgressListener.NONE, new Cancellation())
        .run();
  }

  /** Of every tensor of a checkpoint. */
  static SortedMap<String, Digest> digests(Path folder) {
    return digests(Checkpoint.open(folder));
  }

  /** Of every tensor of a checkpoint as it is read. */
  static SortedMap<String, Digest> digests(Checkpoint checkpoint) {
    SortedMap<String, Digest> digests = new TreeMap<>();
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      String shape =
          LongStream.of(tensor.shape().toArray())
              .mapToObj(Long::toString)
              .collect(Collectors.joining(","));
      digests.put(
          tensor.name(), new Digest(tensor.dtype().safetensorsName(), shape, sha256(tensor)));
    }
    return digests;
  }

  /** Of every tensor of what llm-compressor made. */
  static SortedMap<String, Digest> expected(String name) {
    return expected(resource("/golden/llama/" + name));
  }

  /** Of every tensor of what is in a folder of digests. */
  static SortedMap<String, Digest> expected(Path folder) {
    return digestFile(folder.resolve("tensors.tsv"));
  }

  /** A file of name, dtype, shape and SHA-256. */
  static SortedMap<String, Digest> digestFile(Path file) {
    SortedMap<String, Digest> digests = new TreeMap<>();
    lines(file).forEach(cells -> digests.put(cells[0], new Digest(cells[1], cells[2], cells[3])));
    return digests;
  }

  /** The lines of a table, cut into cells. */
  static List<String[]> lines(Path file) {
    return text(file).lines().map(line -> line.split("\t", -1)).toList();
  }

  /** A file of two columns: name and value. */
  static Map<String, String> table(String resource) {
    return text(resource(resource))
        .lines()
        .map(line -> line.split("\t", -1))
        .collect(Collectors.toMap(cells -> cells[0], cells -> cells[1]));
  }

  /** SHA-256 of every file of a folder, by name. */
  static SortedMap<String, String> files(Path folder) {
    SortedMap<String, String> digests = new TreeMap<>();
    try (var files = Files.list(folder)) {
      for (Path file : files.toList()) {
        digests.put(file.getFileName().toString(), sha256(Files.readAllBytes(file)));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return digests;
  }

  private static String sha256(TensorInfo tensor) {
    return sha256(bytes(tensor));
  }

  static byte[] bytes(TensorInfo tensor) {
    try (Arena arena = Arena.ofConfined()) {
      return Checkpoint.map(tensor, arena).data().toArray(ValueLayout.JAVA_BYTE);
    }
  }

  /** The rows of all the bytes of a tensor that {@code sample} holds. */
  static byte[] sampledRows(byte[] all, TensorInfo sample) {
    byte[] kept = new byte[Math.toIntExact(sample.dtype().bytes(sample.shape().elements()))];
    int row = kept.length / Math.toIntExact(sample.shape().dim(0));
    for (int from = 0; from < kept.length; from += row) {
      System.arraycopy(all, from * CODE_ROWS, kept, from, row);
    }
    return kept;
  }

  static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /** The elements of an F32 tensor. */
  static float[] floats(TensorInfo tensor) {
    try (Arena arena = Arena.ofConfined()) {
      return Checkpoint.map(tensor, arena).data().toArray(FLOAT);
    }
  }

  /** A safetensors file as a checkpoint, made in {@code folder}. */
  static Checkpoint checkpoint(Path file, Path folder) {
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve("config.json"), "{}");
      Files.copy(file, folder.resolve("model.safetensors"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return Checkpoint.open(folder);
  }
}
