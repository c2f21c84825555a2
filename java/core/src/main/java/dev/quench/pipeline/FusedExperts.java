package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.tensor.Shape;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Weights of all experts of a layer that a checkpoint holds as one tensor, {@code [experts, out,
 * in]}, taken apart: compressed checkpoints have a matrix an expert. Behaviour reference §1.9. The
 * parts lie in the same bytes of the same files.
 *
 * @param checkpoint with the parts instead of the tensors
 * @param parts the tensors that were taken apart, by name, with the parts of each
 * @param transposed tensors of experts that hold {@code [experts, in, out]}, which can't be taken
 *     apart without moving their bytes
 */
record FusedExperts(
    Checkpoint checkpoint, Map<String, List<TensorInfo>> parts, List<String> transposed) {
  /** {@code gate_up_proj} holds the rows of two matrices one after the other. */
  private static final Pattern NAME =
      Pattern.compile("(.*\\bexperts)\\.(gate_up_proj|gate_proj|up_proj|down_proj)(?:\\.weight)?");

  private static final String BOTH = "gate_up_proj";
  private static final String DOWN = "down_proj";

  static FusedExperts of(Checkpoint checkpoint) {
    Map<String, List<TensorInfo>> parts = new LinkedHashMap<>();
    List<String> transposed = new ArrayList<>();
    Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    for (TensorInfo tensor : checkpoint.tensors().values()) {
      Matcher name = NAME.matcher(tensor.name());
      if (tensor.shape().rank() != 3 || !name.matches()) {
        tensors.put(tensor.name(), tensor);
      } else if (isTransposed(checkpoint, tensor, name.group(2))) {
        transposed.add(tensor.name());
        tensors.put(tensor.name(), tensor);
      } else {
        List<TensorInfo> split = split(tensor, name.group(1), name.group(2));
        parts.put(tensor.name(), split);
        split.forEach(part -> tensors.put(part.name(), part));
      }
    }
    return new FusedExperts(
        parts.isEmpty() ? checkpoint : checkpoint.withTensors(tensors),
        Collections.unmodifiableMap(parts),
        List.copyOf(transposed));
  }

  /** All matrices but {@code down_proj} read the hidden state, and that one writes it. */
  private static boolean isTransposed(Checkpoint checkpoint, TensorInfo tensor, String kind) {
    int hidden = checkpoint.config().path("hidden_size").asInt(0);
    if (hidden == 0) {
      hidden = checkpoint.config().path("text_config").path("hidden_size").asInt(0);
    }
    long out = tensor.shape().dim(1);
    long in = tensor.shape().dim(2);
    boolean plain = (kind.equals(DOWN) ? out : in) == hidden;
    boolean turned = (kind.equals(DOWN) ? in : out) == hidden;
    if (plain && turned && kind.equals(BOTH)) {
      // Square, since the experts are half as wide as the hidden state: the other tensor isn't.
      TensorInfo down = checkpoint.tensors().get(tensor.name().replace(BOTH, DOWN));
      return down != null && down.shape().rank() == 3 && down.shape().dim(1) != hidden;
    }
    if (plain == turned && !plain) {
      throw new InvalidInputException(
          "%s in %s is %s, but config.json has hidden_size %d; are the two of the same model?"
              .formatted(tensor.name(), tensor.file(), tensor.shape(), hidden));
    }
    return turned && !plain;
  }

  private static List<TensorInfo> split(TensorInfo tensor, String parent, String kind) {
    List<String> matrices = kind.equals(BOTH) ? List.of("gate_proj", "up_proj") : List.of(kind);
    long experts = tensor.shape().dim(0);
    long rows = tensor.shape().dim(1) / matrices.size();
    if (tensor.shape().dim(1) % matrices.size() != 0) {
      throw new InvalidInputException(
          "%s in %s is %s, whose rows can't be two matrices of one size."
              .formatted(tensor.name(), tensor.file(), tensor.shape()));
    }
    long bytes = tensor.dtype().bytes(Math.multiplyExact(rows, tensor.shape().dim(2)));
    List<TensorInfo> parts = new ArrayList<>();
    for (long expert = 0; expert < experts; expert++) {
      for (String matrix : matrices) {
        parts.add(
            new TensorInfo(
                "%s.%d.%s.weight".formatted(parent, expert, matrix),
                tensor.dtype(),
                Shape.of(rows, tensor.shape().dim(2)),
                tensor.file(),
                tensor.offset() + parts.size() * bytes,
                bytes));
      }
    }
    return List.copyOf(parts);
  }
}
