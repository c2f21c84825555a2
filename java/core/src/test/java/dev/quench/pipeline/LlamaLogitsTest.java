package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.calibration.Batch;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.device.ReferenceDevice;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.model.Compute;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Against the logits of transformers 5.17 in float32 (eager attention). {@code llama-linear} is
 * {@code llama} with linear rope scaling, its config.json in the style of before transformers 5.
 */
class LlamaLogitsTest {
  /** What float32 sums over a few hundred terms may differ by, for logits of a few units. */
  private static final float TOLERANCE = 1e-4f;

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "llama, llama",
    "llama-rope3, llama-rope3",
    "llama-tied-bias, llama-tied-bias",
    "llama-linear, llama"
  })
  void areThoseOfTransformers(String name, String weights) throws IOException {
    Path model = Files.createDirectory(folder.resolve("model"));
    Files.copy(file(name, "config.json"), model.resolve("config.json"));
    Files.copy(file(weights, "model.safetensors"), model.resolve("model.safetensors"));
    Checkpoint expected =
        Golden.checkpoint(file(name, "expected.safetensors"), folder.resolve("expected"));
    float[] logits = floats(expected.require("logits"));
    List<Batch> batches = Batch.of(rows(expected.require("input_ids")), 64);
    assertThat(batches).as("batches, so that rows don't all go together").hasSize(2);

    try (Device cpu = new CpuDevice(2);
        Device reference = new ReferenceDevice()) {
      assertThat(logits(cpu, model, batches)).containsExactly(logits, within());
      assertThat(logits(reference, model, batches)).containsExactly(logits, within());
      List<Batch> together = Batch.of(rows(expected.require("input_ids")), 80);
      assertThat(logits(cpu, model, together)).containsExactly(logits, within());
    }
  }

  private static Offset<Float> within() {
    return Offset.offset(TOLERANCE);
  }

  private static Path file(String model, String name) {
    return Golden.resource("/golden/architectures/" + model + "/" + name);
  }

  private float[] logits(Device device, Path model, List<Batch> batches) {
    LoadedModel loaded = LoadedModel.open(model);
    List<float[]> parts = new ArrayList<>();
    try (ActivationStore store =
            ActivationStore.open(
                device,
                loaded.architecture(),
                batches,
                ActivationStore.Side.TRANSIENT,
                Golden.resources(model));
        ForwardPass pass =
            new ForwardPass(
                Compute.exact(device), loaded.architecture(), loaded.weights(device), store)) {
      pass.embed();
      for (int i = 0; i < loaded.architecture().layers(); i++) {
        pass.layer(i);
      }
      try (ForwardPass.Head head = pass.head()) {
        for (int b = 0; b < store.batches(); b++) {
          try (ActivationStore.Visit visit = store.visit(b);
              Scope work = device.openScope()) {
            parts.add(download(device, head.logits(visit.tokens().hidden(), work)));
          }
        }
      }
    }
    return join(parts);
  }

  private static float[] download(Device device, Tensor tensor) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment memory = arena.allocate(tensor.rows() * tensor.columns() * Float.BYTES, 64);
      device.download(
          tensor, new HostTensor(DType.F32, Shape.of(tensor.rows(), tensor.columns()), memory));
      return memory.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  private static float[] join(List<float[]> parts) {
    float[] all = new float[parts.stream().mapToInt(part -> part.length).sum()];
    int at = 0;
    for (float[] part : parts) {
      System.arraycopy(part, 0, all, at, part.length);
      at += part.length;
    }
    return all;
  }

  private static ByteBuffer bytes(TensorInfo tensor) {
    return ByteBuffer.wrap(Golden.bytes(tensor)).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static float[] floats(TensorInfo tensor) {
    float[] values = new float[(int) tensor.shape().elements()];
    bytes(tensor).asFloatBuffer().get(values);
    return values;
  }

  /** The rows of an I64 matrix. */
  private static List<int[]> rows(TensorInfo ids) {
    ByteBuffer bytes = bytes(ids);
    List<int[]> rows = new ArrayList<>();
    for (int r = 0; r < ids.shape().dim(0); r++) {
      int[] row = new int[(int) ids.shape().dim(1)];
      for (int i = 0; i < row.length; i++) {
        row[i] = (int) bytes.getLong();
      }
      rows.add(row);
    }
    return rows;
  }
}
