package dev.quench.checkpoint;

import dev.quench.InvalidInputException;
import dev.quench.tensor.DType;
import dev.quench.tensor.Shape;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The header of a safetensors file, checked before a tensor is touched: 8 bytes of length, that
 * many bytes of JSON, then the data of all tensors without gaps.
 *
 * @param tensors by name, in the order of their data
 * @see <a href="https://github.com/huggingface/safetensors#format">the format</a>
 */
record SafetensorsFile(Path file, Map<String, TensorInfo> tensors) {
  /** The reference implementation's limit. */
  static final long MAX_HEADER = 100_000_000;

  private static final int LENGTH_BYTES = 8;
  private static final String METADATA = "__metadata__";
  private static final String AGAIN = " Is the file complete? Download or copy it again.";

  /**
   * @throws InvalidInputException if the file can't be read or breaks a rule of the format
   */
  static SafetensorsFile open(Path file) {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long size = channel.size();
      long headerLength = headerLength(channel, size, file);
      ByteBuffer header = ByteBuffer.allocate((int) headerLength);
      readFully(channel, header, LENGTH_BYTES);
      ObjectNode json = Json.parseObject(header.array(), file + ": its header");
      return new SafetensorsFile(
          file, new HeaderParser(file, LENGTH_BYTES + headerLength, size).parse(json));
    } catch (IOException e) {
      throw new InvalidInputException(file + " can't be read: " + Json.reason(e) + ".", e);
    }
  }

  private static long headerLength(FileChannel channel, long size, Path file) throws IOException {
    if (size < LENGTH_BYTES) {
      throw new InvalidInputException(
          "%s has %d bytes, too few for a safetensors file.%s".formatted(file, size, AGAIN));
    }
    ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    readFully(channel, length, 0);
    long headerLength = length.getLong(0);
    if (headerLength < 2 || headerLength > MAX_HEADER) {
      throw new InvalidInputException(
          "%s: a header of %s bytes; safetensors allows 2 to %d. It isn't a safetensors file, or it is damaged."
              .formatted(file, Long.toUnsignedString(headerLength), MAX_HEADER));
    }
    if (headerLength > size - LENGTH_BYTES) {
      throw new InvalidInputException(
          "%s: its header of %d bytes goes past the end of the file (%d bytes).%s"
              .formatted(file, headerLength, size, AGAIN));
    }
    return headerLength;
  }

  private static void readFully(FileChannel channel, ByteBuffer buffer, long position)
      throws IOException {
    long at = position;
    while (buffer.hasRemaining()) {
      int read = channel.read(buffer, at);
      if (read < 0) {
        throw new IOException("the file became shorter while it was read");
      }
      at += read;
    }
  }

  /** Checks the entries of a header. */
  private record HeaderParser(Path file, long dataStart, long fileSize) {

    Map<String, TensorInfo> parse(ObjectNode header) {
      List<TensorInfo> tensors = new ArrayList<>();
      for (Map.Entry<String, JsonNode> entry : header.properties()) {
        if (entry.getKey().equals(METADATA)) {
          checkMetadata(entry.getValue());
        } else {
          tensors.add(tensor(entry.getKey(), entry.getValue()));
        }
      }
      tensors.sort(Comparator.comparingLong(TensorInfo::offset).thenComparing(TensorInfo::bytes));
      checkCoverage(tensors);
      Map<String, TensorInfo> byName = new LinkedHashMap<>();
      tensors.forEach(tensor -> byName.put(tensor.name(), tensor));
      return byName;
    }

    private void checkMetadata(JsonNode metadata) {
      boolean strings =
          metadata.isObject()
              && metadata.properties().stream().allMatch(entry -> entry.getValue().isString());
      if (!strings) {
        throw new InvalidInputException(file + ": " + METADATA + " must map strings to strings.");
      }
    }

    private TensorInfo tensor(String name, JsonNode entry) {
      if (!entry.isObject()) {
        throw invalid(name, "its entry isn't an object: " + entry);
      }
      DType dtype =
          DType.ofSafetensors(entry.path("dtype").asString(""))
              .orElseThrow(() -> invalid(name, "unknown dtype " + entry.path("dtype")));
      Shape shape = shape(name, entry.path("shape"));
      long bytes;
      try {
        bytes = dtype.bytes(shape.elements());
      } catch (ArithmeticException e) {
        throw invalid(name, "%s %s: %s".formatted(dtype, shape, e.getMessage()));
      }
      JsonNode offsets = entry.path("data_offsets");
      if (!offsets.isArray() || offsets.size() != 2) {
        throw invalid(name, "data_offsets must be [begin, end], found " + offsets);
      }
      long begin = size(name, "data_offsets", offsets.get(0));
      long end = size(name, "data_offsets", offsets.get(1));
      if (begin > end) {
        throw invalid(name, "data_offsets [%d, %d] end before they begin".formatted(begin, end));
      }
      if (end > fileSize - dataStart) {
        throw invalid(
            name,
            "its data ends at byte %d of the file's data, which has only %d.%s"
                .formatted(end, fileSize - dataStart, AGAIN));
      }
      if (end - begin != bytes) {
        throw invalid(
            name,
            "%s %s takes %d bytes, but data_offsets [%d, %d] give it %d"
                .formatted(dtype, shape, bytes, begin, end, end - begin));
      }
      return new TensorInfo(name, dtype, shape, file, dataStart + begin, bytes);
    }

    private Shape shape(String name, JsonNode array) {
      if (!array.isArray()) {
        throw invalid(name, "shape must be an array, found " + array);
      }
      long[] dims = new long[array.size()];
      for (int i = 0; i < dims.length; i++) {
        dims[i] = size(name, "shape", array.get(i));
      }
      return Shape.of(dims);
    }

    private long size(String name, String key, JsonNode number) {
      if (!number.isIntegralNumber() || !number.canConvertToLong() || number.asLong() < 0) {
        throw invalid(name, key + " must hold non-negative integers, found " + number);
      }
      return number.asLong();
    }

    private void checkCoverage(List<TensorInfo> tensors) {
      long at = dataStart;
      String previous = "the header";
      for (TensorInfo tensor : tensors) {
        if (tensor.offset() < at) {
          throw invalid(tensor.name(), "its data overlaps that of " + previous);
        }
        if (tensor.offset() > at) {
          throw invalid(
              tensor.name(),
              "%d bytes between %s and its data belong to no tensor"
                  .formatted(tensor.offset() - at, previous));
        }
        at = tensor.offset() + tensor.bytes();
        previous = "tensor " + tensor.name();
      }
      if (at != fileSize) {
        throw new InvalidInputException(
            "%s: %d bytes at its end belong to no tensor.%s".formatted(file, fileSize - at, AGAIN));
      }
    }

    private InvalidInputException invalid(String tensor, String problem) {
      return new InvalidInputException(
          "%s: tensor %s: %s%s".formatted(file, tensor, problem, problem.endsWith(".") ? "" : "."));
    }
  }
}
