package dev.quench.pipeline;

import dev.quench.calibration.ActivationRanges;
import dev.quench.calibration.ChannelImportance;
import dev.quench.calibration.Hessian;
import dev.quench.device.Device;
import dev.quench.device.DeviceException;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.format.ActivationLayout;
import dev.quench.model.LayerWeights;
import dev.quench.model.LinearSpec;
import dev.quench.model.Step;
import dev.quench.model.TokenBatch;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.tensor.DType;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What is observed of the tensor that a step's linears read: all that their modifiers need, each
 * once, in one pass.
 */
final class StepStatistics {
  /** Linears whose inputs are quantized alike share a range. */
  private record Observed(QuantizationArgs args, DType dtype) {
    Observed(ActivationLayout layout) {
      this(layout.args(), layout.scaleDtype());
    }
  }

  private final Device device;
  private final Step step;
  private final Optional<Hessian> hessian;
  private final Optional<ChannelImportance> importance;
  private final Map<Observed, ActivationRanges> ranges = new LinkedHashMap<>();

  /**
   * @param modules the plans of all compressed modules, by name
   * @param rows how many calibration rows there will be
   * @param scope owns what is observed
   */
  StepStatistics(
      Device device, Step step, Map<String, ModulePlan> modules, long rows, Scope scope) {
    this.device = device;
    this.step = step;
    long columns = step.linears().getFirst().inFeatures();
    boolean wantsHessian = false;
    boolean wantsImportance = false;
    for (LinearSpec linear : step.linears()) {
      ModulePlan plan = modules.get(linear.name());
      if (plan == null) {
        continue;
      }
      wantsHessian |= plan.usesHessian();
      wantsImportance |= plan.usesImportance();
      plan.input()
          .ifPresent(
              layout ->
                  ranges.computeIfAbsent(
                      new Observed(layout),
                      key ->
                          new ActivationRanges(
                              device,
                              key.args,
                              columns,
                              layout.rangeColumns(columns),
                              key.dtype,
                              rows,
                              scope)));
    }
    this.hessian =
        wantsHessian ? Optional.of(new Hessian(device, columns, scope)) : Optional.empty();
    this.importance =
        wantsImportance
            ? Optional.of(new ChannelImportance(device, columns, scope))
            : Optional.empty();
  }

  /** Looks at a batch that is about to go through the step. */
  void observe(TokenBatch batch, LayerWeights weights) {
    if (hessian.isEmpty() && importance.isEmpty() && ranges.isEmpty()) {
      return;
    }
    try (Scope work = device.openScope()) {
      Tensor input = step.input(batch, weights, work);
      hessian.ifPresent(sum -> sum.add(input, batch.starts().length - 1L));
      importance.ifPresent(squares -> squares.add(input));
      ranges.values().forEach(range -> range.add(input, batch.starts()));
    } catch (DeviceException e) {
      throw e.during("the statistics of the input of " + step.linears().getFirst().name());
    }
  }

  /** That of the input, if a modifier needs it. */
  Optional<Hessian> hessian() {
    return hessian;
  }

  /** That of the input channels, if an observer needs it. */
  Optional<Tensor> importance(Scope scope) {
    return importance.map(squares -> squares.values(step.linears().getFirst().name(), scope));
  }

  ActivationRanges ranges(ActivationLayout layout) {
    ActivationRanges found = ranges.get(new Observed(layout));
    if (found == null) {
      throw new IllegalArgumentException(layout.name() + " wasn't observed");
    }
    return found;
  }
}
