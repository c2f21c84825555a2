package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.quench.calibration.Batch;
import dev.quench.device.CpuDevice;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.device.TorchBfloat16Device;
import dev.quench.model.Compute;
import dev.quench.model.DecoderLayer;
import dev.quench.model.LayerWeights;
import dev.quench.model.Step;
import dev.quench.tensor.Bfloat16;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import dev.quench.tensor.Shape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * What every linear reads, and the logits, are bit for bit those of transformers 5.17 in bfloat16
 * on PyTorch 2.14 with AVX2: the model's operations round where its do.
 */
class TorchForwardPassTest {
  private final Map<String, MessageDigest> digests = new TreeMap<>();

  @Test
  void equalsTransformersInBfloat16() {
    LoadedModel model = LoadedModel.open(Golden.BASE);
    try (Device device = new TorchBfloat16Device(new CpuDevice(2));
        ActivationStore store =
            ActivationStore.open(
                device,
                model.architecture(),
                Batch.of(Golden.calibration().rows(), 64),
                ActivationStore.Side.TRANSIENT,
                Golden.resources(Golden.BASE));
        ForwardPass pass =
            new ForwardPass(
                new Compute(device, DType.BF16),
                model.architecture(),
                model.weights(device),
                store)) {
      pass.embed();
      for (int i = 0; i < model.architecture().layers(); i++) {
        try (Scope scope = device.openScope()) {
          DecoderLayer layer = model.architecture().layer(i);
          LayerWeights weights = layer.load(model.weights(device), scope);
          for (int b = 0; b < store.batches(); b++) {
            run(device, store, b, layer.steps(pass.compute(), pass.rotary()), weights);
          }
        }
      }
      try (ForwardPass.Head head = pass.head()) {
        for (int b = 0; b < store.batches(); b++) {
          try (ActivationStore.Visit visit = store.visit(b);
              Scope work = device.openScope()) {
            digest("logits", device, head.logits(visit.tokens().hidden(), work));
          }
        }
      }
    }
    Map<String, String> found =
        digests.entrySet().stream()
            .collect(
                Collectors.toMap(
                    Map.Entry::getKey, e -> HexFormat.of().formatHex(e.getValue().digest())));
    assertThat(found).isEqualTo(Golden.table("/golden/llama/bfloat16.tsv"));
  }

  private void run(
      Device device, ActivationStore store, int batch, List<Step> steps, LayerWeights weights) {
    try (ActivationStore.Visit visit = store.visit(batch)) {
      for (Step step : steps) {
        try (Scope work = device.openScope()) {
          Tensor input = step.input(visit.tokens(), weights, work);
          digest(step.linears().getFirst().name(), device, input);
          step.apply(visit.tokens(), input, weights, work);
        }
      }
    }
  }

  /** Of the elements, which must be bfloat16 values, as such. */
  private void digest(String name, Device device, Tensor tensor) {
    try (Arena arena = Arena.ofConfined()) {
      long elements = tensor.rows() * tensor.columns();
      MemorySegment memory = arena.allocate(elements * Float.BYTES, 64);
      device.download(
          tensor, new HostTensor(DType.F32, Shape.of(tensor.rows(), tensor.columns()), memory));
      ByteBuffer bytes =
          ByteBuffer.allocate(Math.toIntExact(elements * 2)).order(ByteOrder.LITTLE_ENDIAN);
      for (float value : memory.toArray(ValueLayout.JAVA_FLOAT)) {
        if (Bfloat16.round(value) != value) {
          throw new AssertionError(value + " isn't rounded");
        }
        bytes.putShort(Bfloat16.fromFloat(value));
      }
      digests.computeIfAbsent(name, n -> sha256()).update(bytes.array());
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
