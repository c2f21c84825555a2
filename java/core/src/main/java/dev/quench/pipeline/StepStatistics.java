package dev.quench.pipeline;

import dev.quench.calibration.ActivationRanges;
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
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What is observed of the tensor that a step's linears read: all that their modifiers need, each
 * once, in one pass.
 */
final class StepStatistics {
  private final Device device;
  private final Step step;
  private final Optional<Hessian> hessian;
  private final Map<QuantizationArgs, ActivationRanges> ranges = new LinkedHashMap<>();

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
    for (LinearSpec linear : step.linears()) {
      ModulePlan plan = modules.get(linear.name());
      if (plan == null) {
        continue;
      }
      wantsHessian |= plan.usesHessian();
      plan.input()
          .ifPresent(
              layout ->
                  ranges.computeIfAbsent(
                      layout.args(),
                      args ->
                          new ActivationRanges(
                              device, args, columns, layout.rangeColumns(columns), rows, scope)));
    }
    this.hessian =
        wantsHessian ? Optional.of(new Hessian(device, columns, scope)) : Optional.empty();
  }

  /** Looks at a batch that is about to go through the step. */
  void observe(TokenBatch batch, LayerWeights weights) {
    if (hessian.isEmpty() && ranges.isEmpty()) {
      return;
    }
    try (Scope work = device.openScope()) {
      Tensor input = step.input(batch, weights, work);
      hessian.ifPresent(sum -> sum.add(input, batch.starts().length - 1L));
      ranges.values().forEach(range -> range.add(input, batch.starts()));
    } catch (DeviceException e) {
      throw e.during("the statistics of the input of " + step.linears().getFirst().name());
    }
  }

  /** That of the input, if a modifier needs it. */
  Optional<Hessian> hessian() {
    return hessian;
  }

  ActivationRanges ranges(ActivationLayout layout) {
    ActivationRanges found = ranges.get(layout.args());
    if (found == null) {
      throw new IllegalArgumentException(layout.name() + " wasn't observed");
    }
    return found;
  }
}
