package dev.quench.pipeline;

import dev.quench.InvalidInputException;
import dev.quench.checkpoint.OutputTensor;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.format.ActivationLayout;
import dev.quench.format.WeightLayout;
import dev.quench.model.LinearSpec;
import dev.quench.tensor.DType;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * What a second look at a checkpoint found.
 *
 * @param tensors how many were checked
 * @param problems sentences; none if the checkpoint is sound
 */
public record Verification(int tensors, List<String> problems) {
  public Verification {
    problems = List.copyOf(problems);
  }

  /**
   * Opens a checkpoint as a consumer would: files, headers and index, the tensors that config.json
   * promises with their dtypes and shapes, and finite, positive scales.
   */
  public static Verification of(Path folder) {
    LoadedModel model;
    try {
      model = LoadedModel.open(folder);
    } catch (InvalidInputException e) {
      return new Verification(0, List.of(String.valueOf(e.getMessage())));
    }
    List<String> problems = new ArrayList<>();
    Map<String, TensorInfo> tensors = model.checkpoint().tensors();
    for (LinearSpec matrix : model.modules().keySet()) {
      WeightLayout layout = model.layouts().get(matrix.weight());
      if (layout != null) {
        checkCompressed(model, layout, problems);
      } else {
        checkTensor(tensors, matrix.weight(), matrix.outFeatures(), matrix.inFeatures(), problems);
      }
      if (matrix.bias() && !tensors.containsKey(matrix.biasName())) {
        problems.add("tensor " + matrix.biasName() + " is missing.");
      }
    }
    model.activations().values().forEach(layout -> checkActivations(model, layout, problems));
    return new Verification(tensors.size(), problems);
  }

  private static void checkActivations(
      LoadedModel model, ActivationLayout layout, List<String> problems) {
    for (OutputTensor expected : layout.tensors()) {
      boolean sound = checkStored(model, expected, problems);
      if (sound && !expected.name().equals(layout.zeroPointName())) {
        checkScale(model, expected.name(), expected.dtype(), problems);
      }
    }
  }

  /** Whether a tensor is there and what it should be. */
  private static boolean checkStored(
      LoadedModel model, OutputTensor expected, List<String> problems) {
    TensorInfo tensor = model.checkpoint().tensors().get(expected.name());
    if (tensor == null) {
      problems.add("tensor " + expected.name() + " is missing.");
      return false;
    }
    if (!expected.is(tensor.dtype(), tensor.shape())) {
      problems.add(
          "tensor %s is %s %s, the quantization_config makes it %s %s."
              .formatted(
                  expected.name(),
                  tensor.dtype(),
                  tensor.shape(),
                  expected.dtype(),
                  expected.shape()));
      return false;
    }
    return true;
  }

  private static void checkTensor(
      Map<String, TensorInfo> tensors,
      String name,
      long rows,
      long columns,
      List<String> problems) {
    TensorInfo tensor = tensors.get(name);
    if (tensor == null) {
      problems.add("tensor " + name + " is missing.");
    } else if (tensor.shape().rank() != 2
        || tensor.shape().dim(0) != rows
        || tensor.shape().dim(1) != columns) {
      problems.add(
          "tensor %s is %s, config.json makes it [%d, %d]."
              .formatted(name, tensor.shape(), rows, columns));
    }
  }

  private static void checkCompressed(
      LoadedModel model, WeightLayout layout, List<String> problems) {
    for (OutputTensor expected : layout.tensors()) {
      boolean sound = checkStored(model, expected, problems);
      if (sound && expected.name().equals(layout.scaleName())) {
        checkScale(model, expected.name(), layout.deviceScaleDtype(), problems);
      } else if (sound && expected.name().equals(layout.globalScaleName())) {
        checkScale(model, expected.name(), expected.dtype(), problems);
      }
    }
    if (model.checkpoint().tensors().containsKey(layout.module() + ".weight") && layout.packed()) {
      problems.add(layout.module() + " has both a packed and a plain weight.");
    }
  }

  private static void checkScale(
      LoadedModel model, String name, DType dtype, List<String> problems) {
    try (Arena arena = Arena.ofConfined()) {
      HostTensor scale = model.checkpoint().read(name, arena).reinterpret(dtype);
      for (long i = 0; i < scale.shape().elements(); i++) {
        float value = scale.floatAt(i);
        if (!(Math.abs(value) > 0) || Float.isInfinite(value)) {
          problems.add("tensor %s: scale %d is %s.".formatted(name, i, value));
          return;
        }
      }
    }
  }
}
