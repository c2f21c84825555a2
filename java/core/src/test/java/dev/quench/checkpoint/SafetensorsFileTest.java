package dev.quench.checkpoint;

import static dev.quench.checkpoint.RawFiles.counting;
import static dev.quench.checkpoint.RawFiles.entry;
import static dev.quench.checkpoint.RawFiles.header;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsFileTest {
  @TempDir Path folder;

  @Test
  void listsTensorsInTheOrderOfTheirData() {
    String header =
        header(
            "'__metadata__':{'format':'pt'}",
            entry("last", "U8", "[3]", 8, 11),
            entry("first", "BF16", "[2,2]", 0, 8),
            entry("empty", "F32", "[0,7]", 8, 8));

    SafetensorsFile file = open(header, counting(0, 11));

    assertThat(file.tensors().keySet()).containsExactly("first", "empty", "last");
    long start = 8 + header.length();
    assertThat(tensor(file, "last"))
        .isEqualTo(new TensorInfo("last", DType.U8, Shape.of(3), path(), start + 8, 3));
  }

  @Test
  void aScalarHasNoDimensions() {
    SafetensorsFile file = open(header(entry("a", "F32", "[]", 0, 4)), counting(1, 4));

    assertThat(tensor(file, "a").shape()).isEqualTo(Shape.of());
  }

  @Test
  void aFileWithoutTensorsIsValid() {
    assertThat(open("{}", new byte[0]).tensors()).isEmpty();
    assertThat(open("{}      ", new byte[0]).tensors()).isEmpty();
  }

  @ParameterizedTest
  @EnumSource
  void mapsEveryType(DType dtype) {
    int bytes = 3 * dtype.bits();
    String name = dtype.safetensorsName();
    SafetensorsFile file =
        open(
            header(entry("before", "U8", "[1]", 0, 1), entry("t", name, "[4,6]", 1, 1 + bytes)),
            counting(7, 1 + bytes));

    try (Arena arena = Arena.ofConfined()) {
      HostTensor tensor = Checkpoint.map(tensor(file, "t"), arena);

      assertThat(tensor.dtype()).isEqualTo(dtype);
      assertThat(tensor.shape()).isEqualTo(Shape.of(4, 6));
      assertThat(tensor.data().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(counting(8, bytes));
    }
  }

  @Test
  void mappedMemoryIsReadOnlyAndEndsWithItsArena() {
    SafetensorsFile file = open(header(entry("t", "U8", "[4]", 0, 4)), counting(0, 4));
    MemorySegment data;
    try (Arena arena = Arena.ofConfined()) {
      data = Checkpoint.map(tensor(file, "t"), arena).data();
      assertThat(data.isReadOnly()).isTrue();
    }
    assertThat(data.scope().isAlive()).isFalse();
  }

  @Test
  void mapsAnEmptyTensor() {
    SafetensorsFile file = open(header(entry("t", "F32", "[0,5]", 0, 0)), new byte[0]);

    try (Arena arena = Arena.ofConfined()) {
      assertThat(Checkpoint.map(tensor(file, "t"), arena).data().byteSize()).isZero();
    }
  }

  @Test
  void offsetsGoBeyond32Bits() throws IOException {
    long large = 5L << 30;
    byte[] header =
        RawFiles.bytes(
            header(
                entry("large", "U8", "[" + large + "]", 0, large),
                entry("small", "I32", "[2]", large, large + 8)),
            new byte[0]);
    Path path = path();
    try (FileChannel channel =
        FileChannel.open(
            path,
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.WRITE,
            StandardOpenOption.SPARSE)) {
      channel.write(ByteBuffer.wrap(header), 0);
      channel.write(ByteBuffer.wrap(counting(1, 8)), header.length + large);
    }

    SafetensorsFile file = SafetensorsFile.open(path);
    try (Arena arena = Arena.ofConfined()) {
      TensorInfo info = tensor(file, "small");
      assertThat(info.offset()).isEqualTo(header.length + large);
      assertThat(Checkpoint.map(info, arena).data().toArray(ValueLayout.JAVA_BYTE))
          .isEqualTo(counting(1, 8));
      MemorySegment whole = Checkpoint.map(tensor(file, "large"), arena).data();
      assertThat(whole.byteSize()).isEqualTo(large);
      assertThat(whole.get(ValueLayout.JAVA_BYTE, large - 1)).isZero();
    }
  }

  @Test
  void aFileThatShrankAfterTheCheckIsNoticed() {
    SafetensorsFile file = open(header(entry("t", "U8", "[4]", 0, 4)), counting(0, 4));
    RawFiles.write(path(), header(entry("t", "U8", "[4]", 0, 4)), counting(0, 3));

    try (Arena arena = Arena.ofConfined()) {
      assertThatExceptionOfType(QuenchException.class)
          .isThrownBy(() -> Checkpoint.map(tensor(file, "t"), arena))
          .withMessage(
              "%s became shorter while it was in use: tensor t is no longer in it.", path());
    }
  }

  // ---- hostile files

  @Test
  void refusesAMissingFile() {
    refused("can't be read: NoSuchFileException");
  }

  @Test
  void refusesAFolder() throws IOException {
    Files.createDirectory(path());
    refused("can't be read");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 7})
  void refusesAFileTooShortForItsHeaderLength(int length) {
    RawFiles.write(path(), new byte[length]);
    refused("has " + length + " bytes, too few for a safetensors file. Is the file complete?");
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "1, 1",
    "100000001, 100000001",
    "9223372036854775807, 9223372036854775807",
    "-1, 18446744073709551615"
  })
  void refusesAHeaderLengthThatTheFormatDoesNotAllow(long length, String shown) {
    RawFiles.write(
        path(), ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length).array());
    refused("a header of " + shown + " bytes; safetensors allows 2 to 100000000");
  }

  @Test
  void refusesAHeaderPastTheEndOfTheFile() {
    RawFiles.write(
        path(), ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN).putLong(0, 9).array());
    refused(
        "its header of 9 bytes goes past the end of the file (16 bytes). Is the file complete?");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'a':",
        "{'a':}",
        "{]",
        "  ",
        "{} x",
        "{}{}",
        "{'a':{'dtype':'U8','shape':[01],'data_offsets':[0,1]}}",
        "{'__metadata__':{'a':'\u0001'}}",
        "\uFEFF{}"
      })
  void refusesInvalidJson(String header) {
    refused(header.replace('\'', '"'), new byte[0], "its header");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "null", "12", "'text'"})
  void refusesAHeaderThatIsNoObject(String header) {
    refused(header.replace('\'', '"'), new byte[0], "its header must be a JSON object");
  }

  @Test
  void refusesDeepNesting() {
    refused("{\"a\":" + "[".repeat(100_000), new byte[0], "isn't valid JSON");
  }

  @Test
  void refusesMalformedUtf8() {
    // "\u00C0\u0080", an overlong NUL, and a surrogate in three bytes: Java's own encodings.
    for (byte[] name :
        new byte[][] {
          {(byte) 0xC0, (byte) 0x80}, {(byte) 0xED, (byte) 0xA0, (byte) 0x80}, {(byte) 0xFF}
        }) {
      byte[] file = RawFiles.bytes(header(entry("@@@", "U8", "[1]", 0, 1)), new byte[] {1});
      System.arraycopy(name, 0, file, 10, name.length);
      RawFiles.write(path(), file);
      refused("its header isn't valid UTF-8");
    }
  }

  @Test
  void refusesUtf16() {
    byte[] json = "{}".getBytes(StandardCharsets.UTF_16LE);
    ByteBuffer file = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN).putLong(4).put(json);
    RawFiles.write(path(), file.array());
    refused("its header isn't valid JSON");
  }

  @Test
  void refusesTwoTensorsOfOneName() {
    refused(
        header(entry("a", "U8", "[1]", 0, 1), entry("a", "U8", "[1]", 1, 2)),
        new byte[2],
        "Duplicate Object property \"a\"");
  }

  @Test
  void refusesAKeyTwiceInAnEntry() {
    refused(
        header("'a':{'dtype':'U8','dtype':'I8','shape':[1],'data_offsets':[0,1]}"),
        new byte[1],
        "Duplicate Object property \"dtype\"");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "'pt'", "null", "{'a':1}", "{'a':null}", "{'a':{}}"})
  void refusesMetadataThatIsNoMapOfStrings(String metadata) {
    refused(
        header("'__metadata__':" + metadata),
        new byte[0],
        "__metadata__ must map strings to strings");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "1", "null", "'U8'"})
  void refusesAnEntryThatIsNoObject(String entry) {
    refused(header("'a':" + entry), new byte[0], "tensor a: its entry isn't an object");
  }

  @ParameterizedTest
  @ValueSource(strings = {"'F12'", "'f32'", "''", "8", "null", "['U8']"})
  void refusesAnUnknownDtype(String dtype) {
    refused(
        header("'a':{'dtype':" + dtype + ",'shape':[1],'data_offsets':[0,1]}"),
        new byte[1],
        "tensor a: unknown dtype " + dtype.replace('\'', '"'));
  }

  @Test
  void refusesAnEntryWithoutADtype() {
    refused(
        header("'a':{'shape':[1],'data_offsets':[0,1]}"), new byte[1], "tensor a: unknown dtype");
  }

  @ParameterizedTest
  @ValueSource(strings = {"1", "null", "{}", "'[1]'"})
  void refusesAShapeThatIsNoArray(String shape) {
    refused(header(entry("a", "U8", shape, 0, 1)), new byte[1], "tensor a: shape must be an array");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[-1]",
        "[1.0]",
        "[1e0]",
        "['1']",
        "[null]",
        "[true]",
        "[[1]]",
        "[NaN]",
        "[9223372036854775808]",
        "[18446744073709551616]"
      })
  void refusesADimensionThatIsNoCount(String shape) {
    refused(
        header(entry("a", "U8", shape, 0, 1)),
        new byte[1],
        "tensor a: shape must hold non-negative integers");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "U8; [4294967296,4294967296]",
        "U8; [4294967296,2147483648]",
        "U64; [1152921504606846976]",
        "F4; [4611686018427387904]",
        "U8; [9223372036854775807,2]"
      })
  void refusesASizeThatOverflows(String dtype, String shape) {
    refused(header(entry("a", dtype, shape, 0, 1)), new byte[1], "tensor a: %s".formatted(dtype));
  }

  @ParameterizedTest
  @CsvSource({"F4, 3", "F6_E2M3, 2", "F6_E3M2, 5"})
  void refusesElementsThatDoNotFillWholeBytes(String dtype, int elements) {
    refused(
        header(entry("a", dtype, "[" + elements + "]", 0, 2)),
        new byte[2],
        "tensor a: %s [%d]: %d elements of %s don't fill whole bytes"
            .formatted(dtype, elements, elements, dtype));
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "[0]", "[0,1,1]", "1", "null", "{}", "'0,1'"})
  void refusesOffsetsThatAreNoPair(String offsets) {
    refused(
        header("'a':{'dtype':'U8','shape':[1],'data_offsets':" + offsets + "}"),
        new byte[1],
        "tensor a: data_offsets must be [begin, end]");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[-1,0]", "[0,1.0]", "['0',1]", "[null,1]", "[0,18446744073709551617]"})
  void refusesOffsetsThatAreNoNumbers(String offsets) {
    refused(
        header("'a':{'dtype':'U8','shape':[1],'data_offsets':" + offsets + "}"),
        new byte[1],
        "tensor a: data_offsets must hold non-negative integers");
  }

  @Test
  void refusesOffsetsThatEndBeforeTheyBegin() {
    refused(
        header(entry("a", "U8", "[1]", 1, 0)),
        new byte[1],
        "tensor a: data_offsets [1, 0] end before they begin");
  }

  @ParameterizedTest
  @ValueSource(longs = {5, Long.MAX_VALUE})
  void refusesDataPastTheEndOfTheFile(long end) {
    refused(
        header(entry("a", "U8", "[" + end + "]", 0, end)),
        new byte[4],
        end <= Long.MAX_VALUE / 8
            ? "tensor a: its data ends at byte 5 of the file's data, which has only 4. Is the file complete?"
            : "tensor a: U8 [9223372036854775807]: long overflow");
  }

  @Test
  void refusesOffsetsThatDoNotFitTheShape() {
    refused(
        header(entry("a", "BF16", "[2,3]", 0, 11)),
        new byte[11],
        "tensor a: BF16 [2, 3] takes 12 bytes, but data_offsets [0, 11] give it 11");
  }

  @Test
  void refusesOverlappingTensors() {
    refused(
        header(entry("a", "U8", "[4]", 0, 4), entry("b", "U8", "[4]", 3, 7)),
        new byte[7],
        "tensor b: its data overlaps that of tensor a");
  }

  @Test
  void refusesTwoTensorsInOnePlace() {
    refused(
        header(entry("a", "U8", "[4]", 0, 4), entry("b", "U8", "[4]", 0, 4)),
        new byte[4],
        "its data overlaps that of tensor");
  }

  @Test
  void refusesAnEmptyTensorInsideAnother() {
    refused(
        header(entry("a", "U8", "[4]", 0, 4), entry("b", "U8", "[0]", 2, 2)),
        new byte[4],
        "tensor b: its data overlaps that of tensor a");
  }

  @Test
  void refusesHoles() {
    refused(
        header(entry("a", "U8", "[4]", 0, 4), entry("b", "U8", "[2]", 7, 9)),
        new byte[9],
        "tensor b: 3 bytes between tensor a and its data belong to no tensor");
    refused(
        header(entry("a", "U8", "[4]", 1, 5)),
        new byte[5],
        "tensor a: 1 bytes between the header and its data belong to no tensor");
  }

  @Test
  void refusesBytesAfterTheLastTensor() {
    refused(
        header(entry("a", "U8", "[4]", 0, 4)),
        new byte[6],
        "2 bytes at its end belong to no tensor");
  }

  private static TensorInfo tensor(SafetensorsFile file, String name) {
    return Objects.requireNonNull(file.tensors().get(name));
  }

  private Path path() {
    return folder.resolve("model.safetensors");
  }

  private SafetensorsFile open(String header, byte[] data) {
    return SafetensorsFile.open(RawFiles.write(path(), header, data));
  }

  private void refused(String header, byte[] data, String reason) {
    RawFiles.write(path(), header, data);
    refused(reason);
  }

  private void refused(String reason) {
    assertThatExceptionOfType(InvalidInputException.class)
        .isThrownBy(() -> SafetensorsFile.open(path()))
        .withMessageStartingWith(path().toString())
        .withMessageContaining(reason);
  }
}
