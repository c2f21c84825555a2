package dev.quench.checkpoint;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Where every tensor of an output checkpoint will lie. It follows from names, dtypes and shapes
 * alone, so headers are written first and the data goes to its place in any order.
 */
public final class OutputLayout {
  /** Data starts at a multiple of this, so that mapped tensors are aligned for vector loads. */
  private static final int ALIGNMENT = 64;

  /**
   * A file of the output.
   *
   * @param header the 8 bytes of length and the padded JSON
   * @param bytes length of the whole file
   */
  record Shard(String fileName, byte[] header, long bytes) {}

  /** Where a tensor lies. */
  record Place(OutputTensor tensor, String fileName, long offset) {}

  private final List<Shard> shards;
  private final Map<String, Place> places;

  private OutputLayout(List<Shard> shards, Map<String, Place> places) {
    this.shards = List.copyOf(shards);
    this.places = Collections.unmodifiableMap(places);
  }

  /**
   * Fills shards in the given order; a tensor is never split, so one that is larger than a shard
   * gets its own.
   *
   * @param maxShardSize bytes of data in a shard
   */
  public static OutputLayout plan(List<OutputTensor> tensors, long maxShardSize) {
    List<List<OutputTensor>> groups = new ArrayList<>();
    long room = 0;
    for (OutputTensor tensor : tensors) {
      if (groups.isEmpty() || (tensor.bytes() > room && !groups.getLast().isEmpty())) {
        groups.add(new ArrayList<>());
        room = maxShardSize;
      }
      groups.getLast().add(tensor);
      room -= tensor.bytes();
    }
    List<Shard> shards = new ArrayList<>();
    Map<String, Place> places = new LinkedHashMap<>();
    for (int i = 0; i < groups.size(); i++) {
      String fileName =
          groups.size() == 1
              ? Checkpoint.SINGLE_FILE
              : "model-%05d-of-%05d.safetensors".formatted(i + 1, groups.size());
      shards.add(shard(fileName, groups.get(i), places));
    }
    return new OutputLayout(shards, places);
  }

  private static Shard shard(
      String fileName, List<OutputTensor> tensors, Map<String, Place> places) {
    List<OutputTensor> aligned = new ArrayList<>(tensors);
    aligned.sort(Comparator.comparingInt((OutputTensor t) -> t.dtype().bits()).reversed());
    ObjectNode json = Json.MAPPER.createObjectNode();
    json.putObject("__metadata__").put("format", "pt");
    long end = 0;
    for (OutputTensor tensor : aligned) {
      ObjectNode entry = json.putObject(tensor.name());
      entry.put("dtype", tensor.dtype().safetensorsName());
      ArrayNode shape = entry.putArray("shape");
      Arrays.stream(tensor.shape().toArray()).forEach(shape::add);
      entry.putArray("data_offsets").add(end).add(end + tensor.bytes());
      end += tensor.bytes();
    }
    byte[] header = header(json);
    long offset = header.length;
    for (OutputTensor tensor : aligned) {
      places.put(tensor.name(), new Place(tensor, fileName, offset));
      offset += tensor.bytes();
    }
    return new Shard(fileName, header, header.length + end);
  }

  /** Spaces after the JSON are part of the header, by the format. */
  private static byte[] header(ObjectNode json) {
    byte[] text = json.toString().getBytes(StandardCharsets.UTF_8);
    int length = Math.ceilDiv(8 + text.length, ALIGNMENT) * ALIGNMENT - 8;
    byte[] header = new byte[8 + length];
    Arrays.fill(header, (byte) ' ');
    for (int i = 0; i < 8; i++) {
      header[i] = (byte) ((long) length >>> (8 * i));
    }
    System.arraycopy(text, 0, header, 8, text.length);
    return header;
  }

  List<Shard> shards() {
    return shards;
  }

  Map<String, Place> places() {
    return places;
  }

  /** Names of all tensors. */
  public Set<String> names() {
    return places.keySet();
  }

  /** Bytes of all weight files. */
  public long totalBytes() {
    return shards.stream().mapToLong(Shard::bytes).sum();
  }

  /** Bytes of all tensors. */
  public long tensorBytes() {
    return places.values().stream().mapToLong(place -> place.tensor().bytes()).sum();
  }

  /** Number of weight files. */
  public int shardCount() {
    return shards.size();
  }
}
