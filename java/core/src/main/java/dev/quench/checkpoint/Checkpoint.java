package dev.quench.checkpoint;

import dev.quench.InvalidInputException;
import dev.quench.NearMatches;
import dev.quench.QuenchException;
import dev.quench.tensor.HostTensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A Hugging Face model folder: config.json, safetensors weights in one file or in shards, and the
 * files beside them.
 */
public final class Checkpoint implements TensorReader {
  static final String SINGLE_FILE = "model.safetensors";
  static final String INDEX_FILE = "model.safetensors.index.json";
  static final String CONFIG_FILE = "config.json";

  /** What other tools write of how they quantized a model; it isn't true of the output. */
  private static final Set<String> QUANTIZATION_FILES =
      Set.of("hf_quant_config.json", "quant_config.json", "quantize_config.json");

  private final Path folder;
  private final ObjectNode config;
  private final Map<String, TensorInfo> tensors;

  private Checkpoint(Path folder, ObjectNode config, Map<String, TensorInfo> tensors) {
    this.folder = folder;
    this.config = config;
    this.tensors = Collections.unmodifiableMap(tensors);
  }

  /**
   * Opens a folder and checks the headers of all its weight files; no tensor is read.
   *
   * @throws InvalidInputException if something is missing or damaged; the message names the file
   *     and the tensor
   */
  public static Checkpoint open(Path folder) {
    if (!Files.isDirectory(folder)) {
      throw new InvalidInputException(
          folder
              + (Files.exists(folder)
                  ? " isn't a folder; a model is a folder with config.json and model.safetensors."
                  : " doesn't exist; give the folder of a Hugging Face checkpoint."));
    }
    Path configFile = folder.resolve(CONFIG_FILE);
    if (!Files.isRegularFile(configFile)) {
      throw new InvalidInputException(
          configFile
              + " is missing; "
              + folder
              + " isn't the folder of a Hugging Face checkpoint.");
    }
    ObjectNode config = Json.readObject(configFile);
    return new Checkpoint(folder, config, weights(folder));
  }

  private static Map<String, TensorInfo> weights(Path folder) {
    Path index = folder.resolve(INDEX_FILE);
    if (Files.isRegularFile(index)) {
      return sharded(folder, index);
    }
    Path single = folder.resolve(SINGLE_FILE);
    if (Files.isRegularFile(single)) {
      return SafetensorsFile.open(single).tensors();
    }
    if (Files.isRegularFile(folder.resolve("pytorch_model.bin"))
        || Files.isRegularFile(folder.resolve("pytorch_model.bin.index.json"))) {
      throw new InvalidInputException(
          folder
              + " has its weights in pytorch_model.bin; Quench reads safetensors. Load the model with transformers and save it with save_pretrained(…, safe_serialization=True).");
    }
    throw new InvalidInputException(
        "%s has neither %s nor %s.".formatted(folder, SINGLE_FILE, INDEX_FILE));
  }

  private static Map<String, TensorInfo> sharded(Path folder, Path index) {
    JsonNode weightMap = Json.readObject(index).path("weight_map");
    if (!weightMap.isObject() || weightMap.isEmpty()) {
      throw new InvalidInputException(index + ": it has no weight_map.");
    }
    Map<String, SafetensorsFile> shards = new LinkedHashMap<>();
    Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    for (String shard : shardNames(weightMap, index)) {
      Path file = folder.resolve(shard);
      if (!Files.isRegularFile(file)) {
        throw new InvalidInputException(
            "%s names the shard %s, which isn't in %s; download it too."
                .formatted(index, shard, folder));
      }
      SafetensorsFile opened = SafetensorsFile.open(file);
      shards.put(shard, opened);
      for (TensorInfo tensor : opened.tensors().values()) {
        TensorInfo twin = tensors.put(tensor.name(), tensor);
        if (twin != null) {
          throw new InvalidInputException(
              "tensor %s is in two shards, %s and %s.".formatted(tensor.name(), twin.file(), file));
        }
        if (!weightMap.has(tensor.name())) {
          throw new InvalidInputException(
              "%s holds tensor %s, which %s doesn't list; the index and the shards aren't of the same model."
                  .formatted(file, tensor.name(), index));
        }
      }
    }
    for (Map.Entry<String, JsonNode> entry : weightMap.properties()) {
      SafetensorsFile shard = shards.get(entry.getValue().asString());
      if (shard == null || !shard.tensors().containsKey(entry.getKey())) {
        throw new InvalidInputException(
            "%s says that tensor %s is in %s, but it isn't."
                .formatted(index, entry.getKey(), entry.getValue().asString()));
      }
    }
    return tensors;
  }

  private static TreeSet<String> shardNames(JsonNode weightMap, Path index) {
    TreeSet<String> names = new TreeSet<>();
    for (Map.Entry<String, JsonNode> entry : weightMap.properties()) {
      if (!entry.getValue().isString()) {
        throw new InvalidInputException(
            "%s: the entry of tensor %s isn't a file name.".formatted(index, entry.getKey()));
      }
      String name = entry.getValue().asString();
      if (name.contains("/") || name.contains("\\") || !name.endsWith(".safetensors")) {
        throw new InvalidInputException(
            "%s: tensor %s is said to be in \"%s\", which isn't a shard of this folder."
                .formatted(index, entry.getKey(), name));
      }
      names.add(name);
    }
    return names;
  }

  public Path folder() {
    return folder;
  }

  /** config.json, as it is. */
  public ObjectNode config() {
    return config.deepCopy();
  }

  /** All tensors, shard by shard in the order of their data. */
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  /** The same folder with other tensors: parts of its own, under other names. */
  public Checkpoint withTensors(Map<String, TensorInfo> other) {
    return new Checkpoint(folder, config, new LinkedHashMap<>(other));
  }

  /** The same folder with another config.json and other tensors, made from its own. */
  public Checkpoint with(ObjectNode otherConfig, Map<String, TensorInfo> otherTensors) {
    return new Checkpoint(folder, otherConfig.deepCopy(), new LinkedHashMap<>(otherTensors));
  }

  /**
   * @throws InvalidInputException if there is no tensor of that name
   */
  public TensorInfo require(String name) {
    TensorInfo tensor = tensors.get(name);
    if (tensor == null) {
      throw new InvalidInputException(
          "%s has no tensor %s.%s"
              .formatted(folder, name, NearMatches.hint(name, tensors.keySet())));
    }
    return tensor;
  }

  @Override
  public HostTensor read(String name, Arena arena) {
    return map(require(name), arena);
  }

  /** The tensor, mapped read-only or decoded, until {@code arena} is closed. */
  public static HostTensor map(TensorInfo tensor, Arena arena) {
    if (tensor.decoder().isPresent()) {
      return tensor.decoder().get().decode(arena);
    }
    try (FileChannel channel = FileChannel.open(tensor.file(), StandardOpenOption.READ)) {
      if (tensor.offset() + tensor.bytes() > channel.size()) {
        throw new QuenchException(
            "%s became shorter while it was in use: tensor %s is no longer in it."
                .formatted(tensor.file(), tensor.name()));
      }
      MemorySegment data =
          tensor.bytes() == 0
              ? MemorySegment.NULL
              : channel.map(FileChannel.MapMode.READ_ONLY, tensor.offset(), tensor.bytes(), arena);
      return new HostTensor(tensor.dtype(), tensor.shape(), data);
    } catch (IOException e) {
      throw new QuenchException(
          "%s: tensor %s can't be mapped: %s."
              .formatted(tensor.file(), tensor.name(), Json.reason(e)),
          e);
    }
  }

  /**
   * The files that a compressed checkpoint takes over as they are: tokenizer, chat template,
   * generation config, licence and the like; neither weights nor config.json, nor hidden files, nor
   * folders.
   */
  public List<Path> companionFiles() {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(Files::isRegularFile).filter(Checkpoint::isCompanion).sorted().toList();
    } catch (IOException e) {
      throw new InvalidInputException(folder + " can't be read: " + Json.reason(e) + ".", e);
    }
  }

  private static boolean isCompanion(Path file) {
    String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
    boolean weights =
        Stream.of(".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack")
            .anyMatch(name::endsWith);
    boolean rewritten =
        name.equals(CONFIG_FILE)
            || name.endsWith(".safetensors.index.json")
            || name.endsWith(".bin.index.json")
            || name.equals("recipe.yaml")
            || QUANTIZATION_FILES.contains(name);
    boolean calibration = name.equals("calibration.jsonl") || name.equals("eval.txt");
    return !weights && !rewritten && !calibration && !name.startsWith(".");
  }
}
