package dev.quench.checkpoint;

import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeSet;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a run has finished, so that another can go on with it: JSON lines, the first of them what
 * the run was of, then one for each finished layer, written after the layer's tensors are safe. A
 * last line that the crash cut short doesn't count.
 */
public final class Journal implements AutoCloseable {
  static final String FILE = "journal.jsonl";

  private final Path file;
  private final FileChannel channel;
  private final List<ObjectNode> finished;

  private Journal(Path file, FileChannel channel, List<ObjectNode> finished) {
    this.file = file;
    this.channel = channel;
    this.finished = List.copyOf(finished);
  }

  /**
   * True if a run left a journal in that folder. One that was killed before the first line was
   * whole left nothing.
   */
  public static boolean exists(Path folder) {
    Path file = folder.resolve(FILE);
    try {
      return Files.isRegularFile(file) && indexOf(Files.readAllBytes(file), '\n', 0) >= 0;
    } catch (IOException e) {
      throw new InvalidInputException(file + " can't be read: " + Json.reason(e) + ".", e);
    }
  }

  /**
   * Starts a journal.
   *
   * @param identity what decides the bytes of the run's result, by names that make sense in a
   *     message
   */
  public static Journal create(Path folder, SortedMap<String, String> identity) {
    Path file = folder.resolve(FILE);
    try {
      Journal journal =
          new Journal(
              file,
              FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
              List.of());
      ObjectNode line = Json.MAPPER.createObjectNode();
      identity.forEach(line::put);
      journal.append(line);
      return journal;
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  /**
   * Goes on with a journal.
   *
   * @throws InvalidInputException if it is of another run; the message says what differs
   */
  public static Journal resume(Path folder, SortedMap<String, String> identity) {
    Path file = folder.resolve(FILE);
    try {
      byte[] bytes = Files.readAllBytes(file);
      List<ObjectNode> lines = new ArrayList<>();
      int intact = 0;
      for (int start = 0, end; (end = indexOf(bytes, '\n', start)) >= 0; start = end + 1) {
        try {
          lines.add(Json.parseObject(Arrays.copyOfRange(bytes, start, end), "it"));
        } catch (InvalidInputException e) {
          throw new InvalidInputException(
              "%s is damaged at byte %d; delete %s and start anew.".formatted(file, start, folder),
              e);
        }
        intact = end + 1;
      }
      if (lines.isEmpty()) {
        throw new InvalidInputException(
            "%s says nothing; delete %s and start anew.".formatted(file, folder));
      }
      requireIdentity(file, lines.removeFirst(), identity);
      FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE);
      channel.truncate(intact);
      channel.position(intact);
      return new Journal(file, channel, lines);
    } catch (IOException e) {
      throw new InvalidInputException(file + " can't be read: " + Json.reason(e) + ".", e);
    }
  }

  /**
   * Checks that a journal is of this run.
   *
   * @throws InvalidInputException if it is of another run; the message says what differs
   */
  public static void requireSame(Path folder, SortedMap<String, String> identity) {
    resume(folder, identity).close();
  }

  private static void requireIdentity(
      Path file, ObjectNode found, SortedMap<String, String> identity) {
    Set<String> names = new TreeSet<>(identity.keySet());
    names.addAll(found.propertyNames());
    for (String name : names) {
      if (!found.path(name).asString("").equals(identity.getOrDefault(name, ""))) {
        throw new InvalidInputException(
            "%s was written by a run with another %s, so it can't be resumed; repeat that run's options, or delete %s and start anew."
                .formatted(file, name, file.getParent()));
      }
    }
  }

  private static int indexOf(byte[] bytes, char wanted, int from) {
    for (int i = from; i < bytes.length; i++) {
      if (bytes[i] == wanted) {
        return i;
      }
    }
    return -1;
  }

  /** The lines of finished layers that were there when the journal was opened, in order. */
  public List<ObjectNode> finished() {
    return finished;
  }

  /** Adds a line, and returns when it would survive a power failure. */
  public void append(ObjectNode line) {
    try {
      ByteBuffer buffer = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
      channel.force(true);
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  private static QuenchException failure(Path file, IOException e) {
    return new QuenchException("%s can't be written: %s.".formatted(file, Json.reason(e)), e);
  }
}
