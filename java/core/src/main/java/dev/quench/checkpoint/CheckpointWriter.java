package dev.quench.checkpoint;

import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import dev.quench.tensor.HostTensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
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

  /** Folders above the output that weren't there before, the innermost first. */
  private final List<Path> createdParents = new ArrayList<>();

  private final Set<String> written = ConcurrentHashMap.newKeySet();

  private final WriteBehind behind = new WriteBehind(this::force);

  /** Everything is in the partial folder, only its name is wrong. */
  private boolean complete;

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
   * @throws InvalidInputException if the output exists and isn't an empty folder, lies in the
   *     source, or would be made where the source is
   */
  public static void checkOutput(Path output, Path source) {
    Path absolute = output.toAbsolutePath().normalize();
    if (absolute.getFileName() == null
        || absolute.startsWith(source.toAbsolutePath().normalize())) {
      throw new InvalidInputException(
          "the output folder %s lies in the model's folder %s; give another -o."
              .formatted(output, source));
    }
    if (source.toAbsolutePath().normalize().startsWith(partialFolder(output))) {
      throw new InvalidInputException(
          "the output %s would be made in the folder of the model, %s; give another -o."
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
      writer.createFolders();
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

  /**
   * Removes what a run that didn't end left of an output, if there is something.
   *
   * @throws InvalidInputException if the folder doesn't look like a run's
   */
  public static void discard(Path output) {
    Path partial = partialFolder(output);
    if (!Files.exists(partial)) {
      return;
    }
    try (Stream<Path> content = Files.list(partial)) {
      List<Path> files = content.toList();
      boolean weights =
          files.stream()
              .anyMatch(
                  file -> file.toString().endsWith(".safetensors") || file.endsWith(Journal.FILE));
      if (files.stream().anyMatch(Files::isDirectory) || (!weights && !files.isEmpty())) {
        throw new InvalidInputException(
            "%s isn't what Quench left there; move it, or give another -o.".formatted(partial));
      }
    } catch (IOException e) {
      throw new InvalidInputException(partial + " can't be read: " + Json.reason(e) + ".", e);
    }
    deleteFolder(partial);
  }

  private void createFolders() throws IOException {
    for (Path folder = partial.getParent();
        folder != null && !Files.exists(folder);
        folder = folder.getParent()) {
      createdParents.add(folder);
    }
    Files.createDirectories(partial);
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
   * @throws IllegalStateException if it was written before
   */
  public void write(String name, HostTensor tensor) {
    OutputLayout.Place place = place(new OutputTensor(name, tensor.dtype(), tensor.shape()));
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
    markWritten(name);
    behind.wrote(tensor.data().byteSize());
  }

  /**
   * Takes a tensor over as it is, or decoded if it must be, under the same name.
   *
   * @throws IllegalArgumentException if the layout has none of that name, dtype and shape
   * @throws IllegalStateException if it was written before
   */
  public void copy(TensorInfo source) {
    if (source.decoder().isPresent()) {
      try (Arena arena = Arena.ofConfined()) {
        write(source.name(), source.decoder().get().decode(arena));
      }
      return;
    }
    OutputLayout.Place place =
        place(new OutputTensor(source.name(), source.dtype(), source.shape()));
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
    markWritten(source.name());
    behind.wrote(source.bytes());
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
    names.forEach(name -> markWritten(place(name).tensor().name()));
  }

  private void markWritten(String name) {
    if (!written.add(name)) {
      throw new IllegalStateException("tensor " + name + " was written twice");
    }
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
    behind.await();
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
        Files.writeString(partial.resolve(Checkpoint.INDEX_FILE), PythonJson.print(index()) + "\n");
      }
      Files.writeString(partial.resolve(Checkpoint.CONFIG_FILE), PythonJson.print(config));
      Files.deleteIfExists(partial.resolve(Journal.FILE));
      close();
      forceFiles();
      complete = true;
      moveIntoPlace();
    } catch (IOException e) {
      throw failure(output, e);
    }
  }

  /** The new name must not survive a power failure that the data doesn't. */
  private void forceFiles() throws IOException {
    try (Stream<Path> files = Files.list(partial)) {
      for (Path file : files.toList()) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
          channel.force(true);
        }
      }
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

  /** Removes everything that was written, unless it is a complete checkpoint. */
  public void abort() {
    close();
    if (complete) {
      return;
    }
    deleteFolder(partial);
    try {
      for (Path folder : createdParents) {
        Files.deleteIfExists(folder);
      }
    } catch (DirectoryNotEmptyException e) {
      // Somebody else uses it by now.
    } catch (IOException e) {
      throw failure(partial, e);
    }
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
      throw new QuenchException(folder + " can't be removed: " + Json.reason(e) + ".", e);
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

  private OutputLayout.Place place(OutputTensor tensor) {
    OutputLayout.Place place = place(tensor.name());
    if (!place.tensor().equals(tensor)) {
      throw new IllegalArgumentException("%s was planned as %s".formatted(tensor, place.tensor()));
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

  private QuenchException failure(Path file, IOException e) {
    if (Json.reason(e).contains("No space left")) {
      return new QuenchException(
          "%s can't be written: the disk is full. The output takes %,d bytes in all."
              .formatted(file, layout.totalBytes()),
          e);
    }
    return new QuenchException("%s can't be written: %s.".formatted(file, Json.reason(e)), e);
  }
}
