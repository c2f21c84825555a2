package dev.quench.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quench.tensor.DType;
import dev.quench.tensor.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OutputLayoutTest {
  /** Three tensors of 100 bytes. */
  @ParameterizedTest
  @CsvSource({
    "300, a b c",
    "299, a b|c",
    "200, a b|c",
    "199, a|b|c",
    "100, a|b|c",
    "99, a|b|c",
    "9223372036854775807, a b c"
  })
  void fillsShardsInOrder(long maxShardSize, String expected) {
    OutputLayout layout =
        OutputLayout.plan(List.of(bytes("a"), bytes("b"), bytes("c")), maxShardSize);

    List<String> shards = Collections.nCopies(layout.shardCount(), "");
    List<String> found = new ArrayList<>(shards);
    for (OutputLayout.Place place : layout.places().values()) {
      int i =
          layout.shards().stream()
              .map(OutputLayout.Shard::fileName)
              .toList()
              .indexOf(place.fileName());
      found.set(i, (found.get(i) + " " + place.tensor().name()).strip());
    }
    assertThat(String.join("|", found)).isEqualTo(expected);
    assertThat(layout.tensorBytes()).isEqualTo(300);
  }

  @Test
  void aTensorLargerThanAShardGetsItsOwn() {
    OutputTensor large = new OutputTensor("large", DType.U8, Shape.of(1000));
    OutputLayout layout = OutputLayout.plan(List.of(bytes("a"), large, bytes("b")), 200);

    assertThat(layout.shards())
        .extracting(OutputLayout.Shard::fileName)
        .containsExactly(
            "model-00001-of-00003.safetensors",
            "model-00002-of-00003.safetensors",
            "model-00003-of-00003.safetensors");
  }

  @Test
  void oneShardIsTheSingleFile() {
    OutputLayout layout = OutputLayout.plan(List.of(bytes("a")), 100);

    assertThat(layout.shards())
        .extracting(OutputLayout.Shard::fileName)
        .containsExactly("model.safetensors");
  }

  @Test
  void fileNamesDoNotDependOnTheLocale() {
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
    try {
      assertThat(OutputLayout.plan(List.of(bytes("a"), bytes("b")), 100).shards())
          .extracting(OutputLayout.Shard::fileName)
          .containsExactly("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void headerIsTheOneOfTransformers() {
    OutputLayout layout =
        OutputLayout.plan(
            List.of(
                new OutputTensor("b", DType.U8, Shape.of(3)),
                new OutputTensor("a", DType.F32, Shape.of())),
            100);

    byte[] header = layout.shards().getFirst().header();
    long length = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).getLong();
    assertThat(length).isEqualTo(header.length - 8);
    assertThat(new String(header, 8, header.length - 8, StandardCharsets.UTF_8).stripTrailing())
        .isEqualTo(
            "{\"__metadata__\":{\"format\":\"pt\"},"
                + "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                + "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[4,7]}}");
  }

  @Test
  void sizesGoBeyond32Bits() {
    OutputTensor large = new OutputTensor("large", DType.BF16, Shape.of(1L << 20, 1L << 20));
    OutputLayout layout = OutputLayout.plan(List.of(large, bytes("b")), Long.MAX_VALUE);

    OutputLayout.Shard shard = layout.shards().getFirst();
    assertThat(Objects.requireNonNull(layout.places().get("b")).offset())
        .isEqualTo(shard.header().length + (1L << 41));
    assertThat(layout.totalBytes()).isEqualTo(shard.header().length + (1L << 41) + 100);
  }

  @Test
  void refusesTwoTensorsOfOneName() {
    assertThatThrownBy(() -> OutputLayout.plan(List.of(bytes("a"), bytes("b"), bytes("a")), 100))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("two tensors of the name a");
  }

  /** Aligned to its own element, from a start that suits vector loads; no byte is left out. */
  @Property(tries = 300, seed = "1")
  void dataIsAlignedAndWithoutGaps(
      @ForAll @Size(min = 1, max = 12) List<DType> dtypes,
      @ForAll @IntRange(min = 1, max = 400) int maxShardSize) {
    List<OutputTensor> tensors = new ArrayList<>();
    for (int i = 0; i < dtypes.size(); i++) {
      tensors.add(new OutputTensor("t" + i, dtypes.get(i), Shape.of(i % 3, 4)));
    }

    OutputLayout layout = OutputLayout.plan(tensors, maxShardSize);

    assertThat(layout.names()).hasSize(tensors.size());
    for (OutputLayout.Shard shard : layout.shards()) {
      assertThat(shard.header().length % 64).isZero();
      List<OutputLayout.Place> places =
          layout.places().values().stream()
              .filter(place -> place.fileName().equals(shard.fileName()))
              .toList();
      long at = shard.header().length;
      for (OutputLayout.Place place : places) {
        assertThat(place.offset()).isEqualTo(at);
        assertThat(at % Math.max(1, place.tensor().dtype().bits() / 8)).isZero();
        at += place.tensor().bytes();
      }
      assertThat(shard.bytes()).isEqualTo(at);
      assertThat(
              at - shard.header().length <= maxShardSize
                  || places.size() == 1
                  || hasOneNonEmpty(places))
          .isTrue();
    }
  }

  /** Tensors without elements fit beside any. */
  private static boolean hasOneNonEmpty(List<OutputLayout.Place> places) {
    return places.stream().filter(place -> place.tensor().bytes() > 0).count() == 1;
  }

  private static OutputTensor bytes(String name) {
    return new OutputTensor(name, DType.U8, Shape.of(100));
  }
}
