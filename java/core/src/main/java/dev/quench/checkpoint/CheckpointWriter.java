package dev.quench.checkpoint;

import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import dev.quench.tensor.HostTensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;

/**
 * Writes a checkpoint of a known {@link OutputLayout}, in a folder of its own beside the output,
 * which becomes the output in one step when everything is there. Thread-safe.
 */
public final class CheckpointWriter implements TensorReader, AutoCloseable {
  /** Bytes that one system call writes. */
  private static final long CHUNK = 8L << 20;

  private final Path output;
  private final Path partial;
  private final OutputLayout layout;
  private final Map<String, FileChannel> channels = new LinkedHashMap<>();
  private final Set<String> written = ConcurrentHashMap.newKeySet();

  private CheckpointWriter(Path output, OutputLayout layout) {
    this.output = output;
    this.partial = partialFolder(output);
    this.layout = layout;
  }

  /** The folder in which an output is made. */
  public static Path partialFolder(Path output) {
    Path absolute = output.toAbsolutePath().normalize();
    return absolute.resolveSibling(absolute.getFileName() + ".partial");
  }

  /**
   * Refuses an output that can't be made.
   *
   * @param source the model's folder
   * @throws InvalidInputException if the output exists and isn't an empty folder, or lies in the
   *     source
   */
  public static void checkOutput(Path output, Path source) {
    Path absolute = output.toAbsolutePath().normalize();
    if (absolute.getFileName() == null
        || absolute.startsWith(source.toAbsolutePath().normalize())) {
      throw new InvalidInputException(
          "the output folder %s lies in the model's folder %s; give another -o."
              .formatted(output, source));
    }
    if (Files.exists(absolute) && !Files.isDirectory(absolute)) {
      throw new InvalidInputException(
          "the output %s is a file; give the name of a new folder.".formatted(output));
    }
    if (Files.isDirectory(absolute)) {
      try (Stream<Path> content = Files.list(absolute)) {
        if (content.findAny().isPresent()) {
          throw new InvalidInputException(
              "the output folder %s isn't empty; give another -o, or remove it.".formatted(output));
        }
      } catch (IOException e) {
        throw new InvalidInputException(output + " can't be read: " + Json.reason(e) + ".", e);
      }
    }
  }

  /**
   * Starts a new output.
   *
   * @throws InvalidInputException if a partial one is there
   * @throws QuenchException if there isn't enough room
   */
  public static CheckpointWriter create(Path output, OutputLayout layout) {
    CheckpointWriter writer = new CheckpointWriter(output, layout);
    if (Files.exists(writer.partial)) {
      throw new InvalidInputException(
          "%s is left of a run that didn't end. Go on with it (--resume), or delete it."
              .formatted(writer.partial));
    }
    try {
      Files.createDirectories(writer.partial);
    } catch (IOException e) {
      throw new InvalidInputException(
          "the output folder can't be made: " + Json.reason(e) + ".", e);
    }
    boolean opened = false;
    try {
      writer.checkRoom();
      for (OutputLayout.Shard shard : layout.shards()) {
        writer.createShard(shard);
      }
      opened = true;
      return writer;
    } finally {
      if (!opened) {
        writer.abort();
      }
    }
  }

  /**
   * Goes on with the folder that a killed run left.
   *
   * @throws InvalidInputException if its files aren't of this layout
   */
  public static CheckpointWriter reopen(Path output, OutputLayout layout) {
    CheckpointWriter writer = new CheckpointWriter(output, layout);
    for (OutputLayout.Shard shard : layout.shards()) {
      Path file = writer.partial.resolve(shard.fileName());
      try {
        FileChannel channel =
            FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
        writer.channels.put(shard.fileName(), channel);
        ByteBuffer header = ByteBuffer.allocate(shard.header().length);
        int read = channel.read(header, 0);
        if (channel.size() != shard.bytes()
            || read != shard.header().length
            || !header.flip().equals(ByteBuffer.wrap(shard.header()))) {
          writer.close();
          throw new InvalidInputException(
              "%s isn't what this run would write; delete %s and start anew."
                  .formatted(file, writer.partial));
        }
      } catch (IOException e) {
        writer.close();
        throw new InvalidInputException(
            "%s can't be opened to go on with it: %s.".formatted(file, Json.reason(e)), e);
      }
    }
    return writer;
  }

  /** Removes what a run that didn't end left of an output, if there is something. */
  public static void discard(Path output) {
    deleteFolder(partialFolder(output));
  }

  private void checkRoom() {
    try {
      long usable = Files.getFileStore(partial).getUsableSpace();
      if (usable < layout.totalBytes()) {
        throw new QuenchException(
            "the output takes %,d bytes, but there are only %,d free where %s lies."
                .formatted(layout.totalBytes(), usable, output));
      }
    } catch (IOException e) {
      throw failure(partial, e);
    }
  }

  private void createShard(OutputLayout.Shard shard) {
    Path file = partial.resolve(shard.fileName());
    try {
      FileChannel channel =
          FileChannel.open(
              file,
              StandardOpenOption.CREATE_NEW,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
      channels.put(shard.fileName(), channel);
      writeFully(channel, ByteBuffer.wrap(shard.header()), 0);
      if (shard.bytes() > shard.header().length) {
        writeFully(channel, ByteBuffer.allocate(1), shard.bytes() - 1);
      }
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  /**
   * Puts a tensor in its place.
   *
   * @throws IllegalArgumentException if the layout has none of that name, dtype and shape
   */
  public void write(String name, HostTensor tensor) {
    OutputLayout.Place place = place(name);
    if (tensor.dtype() != place.tensor().dtype()
        || !tensor.shape().equals(place.tensor().shape())) {
      throw new IllegalArgumentException(
          "%s is %s %s, planned as %s"
              .formatted(name, tensor.dtype(), tensor.shape(), place.tensor()));
    }
    try {
      FileChannel channel = channel(place);
      MemorySegment data = tensor.data();
      for (long at = 0; at < data.byteSize(); at += CHUNK) {
        long count = Math.min(CHUNK, data.byteSize() - at);
        writeFully(channel, data.asSlice(at, count).asByteBuffer(), place.offset() + at);
      }
    } catch (IOException e) {
      throw failure(partial.resolve(place.fileName()), e);
    }
    written.add(name);
  }

  /** Takes a tensor over as it is, under the same name. */
  public void copy(TensorInfo source) {
    OutputLayout.Place place = place(source.name());
    try (FileChannel from = FileChannel.open(source.file(), StandardOpenOption.READ)) {
      FileChannel to = channel(place);
      long done = 0;
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment buffer = arena.allocate(Math.clamp(source.bytes(), 1, CHUNK));
        while (done < source.bytes()) {
          ByteBuffer chunk =
              buffer.asSlice(0, Math.min(buffer.byteSize(), source.bytes() - done)).asByteBuffer();
          int read = from.read(chunk, source.offset() + done);
          if (read < 0) {
            throw new QuenchException(
                "%s became shorter while it was in use: tensor %s is no longer in it."
                    .formatted(source.file(), source.name()));
          }
          writeFully(to, chunk.flip(), place.offset() + done);
          done += read;
        }
      }
    } catch (IOException e) {
      throw failure(partial.resolve(place.fileName()), e);
    }
    written.add(source.name());
  }

  /** A tensor that was written, by this run or by the one that it resumes. */
  @Override
  public HostTensor read(String name, Arena arena) {
    OutputLayout.Place place = place(name);
    OutputTensor tensor = place.tensor();
    return Checkpoint.map(
        new TensorInfo(
            name,
            tensor.dtype(),
            tensor.shape(),
            partial.resolve(place.fileName()),
            place.offset(),
            tensor.bytes()),
        arena);
  }

  /** Counts tensors as written that the resumed run had written. */
  public void markWritten(List<String> names) {
    written.addAll(names);
  }

  /** Returns when everything written so far would survive a power failure. */
  public void force() {
    try {
      for (FileChannel channel : channels.values()) {
        channel.force(false);
      }
    } catch (IOException e) {
      throw failure(partial, e);
    }
  }

  /**
   * Completes the checkpoint and gives it its name.
   *
   * @param config config.json
   * @param companions files to carry over as they are
   * @param texts more files, by name
   * @throws IllegalStateException if a tensor is missing
   */
  public void finish(ObjectNode config, List<Path> companions, Map<String, String> texts) {
    Set<String> missing = new TreeSet<>(layout.places().keySet());
    missing.removeAll(written);
    if (!missing.isEmpty()) {
      throw new IllegalStateException("tensors that nobody wrote: " + missing);
    }
    try {
      for (Path companion : companions) {
        Files.copy(
            companion,
            partial.resolve(companion.getFileName()),
            StandardCopyOption.REPLACE_EXISTING);
      }
      for (Map.Entry<String, String> text : texts.entrySet()) {
        Files.writeString(partial.resolve(text.getKey()), text.getValue());
      }
      if (layout.shardCount() > 1) {
        Files.writeString(partial.resolve(Checkpoint.INDEX_FILE), PythonJson.print(index()));
      }
      Files.writeString(
          partial.resolve(Checkpoint.CONFIG_FILE),
          PythonJson.print(config),
          StandardCharsets.UTF_8);
      Files.deleteIfExists(partial.resolve(Journal.FILE));
      close();
      moveIntoPlace();
    } catch (IOException e) {
      throw failure(output, e);
    }
  }

  private ObjectNode index() {
    ObjectNode index = Json.MAPPER.createObjectNode();
    index.putObject("metadata").put("total_size", layout.tensorBytes());
    ObjectNode weightMap = index.putObject("weight_map");
    layout.places().forEach((name, place) -> weightMap.put(name, place.fileName()));
    return index;
  }

  private void moveIntoPlace() throws IOException {
    Path target = output.toAbsolutePath().normalize();
    try {
      Files.deleteIfExists(target);
      Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (DirectoryNotEmptyException | AtomicMoveNotSupportedException e) {
      throw new QuenchException(
          "%s can't take the name %s: %s. The finished checkpoint is in %s."
              .formatted(partial, target, Json.reason(e), partial),
          e);
    }
  }

  /** Removes everything that was written. */
  public void abort() {
    close();
    deleteFolder(partial);
  }

  private static void deleteFolder(Path folder) {
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw failure(folder, e);
    }
  }

  /** The folder in which the output is made. */
  public Path partial() {
    return partial;
  }

  /** Closes the files; what was written stays. */
  @Override
  public void close() {
    try {
      for (FileChannel channel : channels.values()) {
        channel.close();
      }
    } catch (IOException e) {
      throw failure(partial, e);
    }
  }

  private OutputLayout.Place place(String name) {
    OutputLayout.Place place = layout.places().get(name);
    if (place == null) {
      throw new IllegalArgumentException("no tensor " + name + " in the layout");
    }
    return place;
  }

  private FileChannel channel(OutputLayout.Place place) {
    FileChannel channel = channels.get(place.fileName());
    if (channel == null) {
      throw new IllegalStateException(place.fileName() + " isn't open");
    }
    return channel;
  }

  private static void writeFully(FileChannel channel, ByteBuffer buffer, long position)
      throws IOException {
    long at = position;
    while (buffer.hasRemaining()) {
      at += channel.write(buffer, at);
    }
  }

  private static QuenchException failure(Path file, IOException e) {
    return new QuenchException("%s can't be written: %s.".formatted(file, Json.reason(e)), e);
  }
}
