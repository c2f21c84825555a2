package dev.quench.device;

import static dev.quench.device.QuantizationCases.MXFP4;
import static dev.quench.device.QuantizationCases.MXFP8;
import static dev.quench.device.QuantizationCases.NVFP4;
import static dev.quench.device.QuantizationCases.args;
import static dev.quench.tensor.DType.BF16;
import static dev.quench.tensor.DType.F16;
import static dev.quench.tensor.DType.F32;

import dev.quench.device.DeviceParityTest.Subject;
import dev.quench.device.Operand.Kind;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The quantizing operations against {@link ReferenceDevice} where rows are as wide as those of
 * weights, so that devices take their fast paths: whole vectors, groups of all common sizes, blocks
 * that several threads share. Their values are of one kind or change from group to group.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class WideRowsParityTest {
  abstract List<Subject> devices();

  private static final List<DType> FLOATS = List.of(F32, BF16, F16);

  /** Whole vectors and groups; one column less than that; a little more; several tasks. */
  private static final int[][] SHAPES = {{3, 1024}, {2, 2047}, {2, 2088}, {17, 4096}};

  /**
   * A shape whose blocks of 128 × 128 are cut at both edges, and one that is a single tall block.
   */
  private static final int[][] TALL_SHAPES = {{130, 1160}, {1100, 136}};

  private static List<QuantizationArgs> grouped() {
    List<QuantizationArgs> formats = new ArrayList<>();
    for (int bits = 1; bits <= 8; bits++) {
      formats.add(args("num_bits", bits, "symmetric", false, "group_size", 128));
    }
    for (int size : new int[] {16, 32, 64, 77, 96, 128, 256, 512, 1024, 2048}) {
      formats.add(args("num_bits", 4, "group_size", size));
    }
    formats.add(args("num_bits", 8, "symmetric", false, "strategy", "channel"));
    formats.add(args("type", "float", "group_size", 64));
    formats.add(args("type", "float", "strategy", "channel"));
    formats.add(NVFP4);
    formats.add(MXFP4);
    formats.add(MXFP8);
    return formats;
  }

  private static List<QuantizationArgs> tall() {
    return List.of(
        args("num_bits", 8, "symmetric", false, "block_structure", List.of(128, 128)),
        args("num_bits", 4, "block_structure", List.of(24, 40)),
        args("num_bits", 5, "block_structure", List.of(512, 1024)),
        args("num_bits", 8, "symmetric", false, "strategy", "tensor"),
        args("type", "float", "block_structure", List.of(128, 128)),
        args("type", "float", "strategy", "tensor"));
  }

  /** More columns than are worked on at once. */
  private static final int[] LONG = {1, 140_000};

  private interface Case {
    void run(QuantizationArgs args, DType dtype, int[] shape, Kind kind);
  }

  private static void forCases(Case test) {
    for (DType dtype : FLOATS) {
      for (QuantizationArgs args : grouped()) {
        for (int[] shape : SHAPES) {
          for (Kind kind : shape[0] < 4 ? List.of(Kind.values()) : List.of(Kind.PLAIN)) {
            test.run(args, dtype, shape, kind);
          }
        }
      }
      test.run(args("num_bits", 4, "group_size", 32), dtype, LONG, Kind.PLAIN);
      test.run(args("num_bits", 4, "group_size", 2000), dtype, LONG, Kind.PLAIN);
      for (QuantizationArgs args : tall()) {
        for (int[] shape : TALL_SHAPES) {
          for (Kind kind : List.of(Kind.PLAIN, Kind.TIES)) {
            test.run(args, dtype, shape, kind);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void observe(Subject subject) {
    try (Parity parity = new Parity(subject.open())) {
      forCases(
          (args, dtype, shape, kind) -> {
            int rows = Math.toIntExact(args.blockRows(shape[0]));
            int columns = Math.toIntExact(args.blockColumns(shape[1]));
            QuantizationCases.observe(parity, new int[] {rows, columns}, dtype, shape, kind);
          });
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void quantize(Subject subject) {
    try (Parity parity = new Parity(subject.open())) {
      forCases(
          (args, dtype, shape, kind) ->
              QuantizationCases.quantize(parity, args, dtype, shape, kind));
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void quantizeToNearest(Subject subject) {
    try (Parity parity = new Parity(subject.open())) {
      forCases(
          (args, dtype, shape, kind) ->
              QuantizationCases.quantizeToNearest(parity, args, dtype, shape, kind));
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void dequantize(Subject subject) {
    try (Parity parity = new Parity(subject.open())) {
      forCases(
          (args, dtype, shape, kind) ->
              QuantizationCases.dequantize(parity, args, dtype, shape, kind));
    }
  }

  @ParameterizedTest
  @MethodSource("devices")
  void packing(Subject subject) {
    try (Parity parity = new Parity(subject.open())) {
      for (int[] shape : SHAPES) {
        for (int bits = 1; bits <= 8; bits++) {
          QuantizationCases.pack(parity, bits, shape);
          QuantizationCases.unpack(parity, bits, shape);
        }
      }
      for (int[] shape : SHAPES) {
        QuantizationCases.packE2m1(parity, shape);
        QuantizationCases.unpackE2m1(parity, shape);
      }
      QuantizationCases.pack(parity, 4, LONG);
      QuantizationCases.unpack(parity, 4, LONG);
    }
  }
}
