package dev.quench.pipeline;

import dev.quench.calibration.ActivationRanges;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.format.ActivationEncoder;
import dev.quench.format.ActivationLayout;
import dev.quench.model.AttentionProbe;
import java.util.LinkedHashMap;
import java.util.Map;

/** The ranges of the states of attention in one layer. */
final class AttentionStatistics implements AttentionProbe {
  private final Device device;
  private final Map<String, AttentionPlan> plans;
  private final long rows;
  private final Scope scope;
  private final Map<ActivationLayout, ActivationRanges> ranges = new LinkedHashMap<>();

  /**
   * @param plans of all layers
   * @param rows how many calibration rows there will be
   * @param scope owns the ranges
   */
  AttentionStatistics(Device device, Map<String, AttentionPlan> plans, long rows, Scope scope) {
    this.device = device;
    this.plans = plans;
    this.rows = rows;
    this.scope = scope;
  }

  @Override
  public void observe(String module, Tensor queries, Tensor keys, Tensor values, long[] starts) {
    AttentionPlan plan = plans.get(module);
    if (plan != null) {
      plan.queries().ifPresent(layout -> add(layout, queries, starts));
      add(plan.keys(), keys, starts);
      add(plan.values(), values, starts);
    }
  }

  private void add(ActivationLayout layout, Tensor x, long[] starts) {
    ranges
        .computeIfAbsent(
            layout,
            key ->
                new ActivationRanges(
                    device,
                    layout.args(),
                    x.columns(),
                    layout.rangeColumns(x.columns()),
                    layout.scaleDtype(),
                    rows,
                    scope))
        .add(x, starts);
  }

  void encode(ActivationEncoder encoder) {
    ranges.forEach(encoder::encode);
  }
}
