package dev.quench.pipeline;

import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.format.WeightEncoder;
import dev.quench.format.WeightLayout;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.modifier.Rtn;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;

/** Rounds weights of a plan to nearest and writes what they become. */
final class WeightRounding {
  private final Device device;
  private final CompressionPlan plan;
  private final GlobalScales globalScales;
  private final WeightEncoder encoder;

  WeightRounding(Device device, CompressionPlan plan, WeightEncoder encoder) {
    this.device = device;
    this.plan = plan;
    this.globalScales = new GlobalScales(device, plan.checkpoint(), plan.modules());
    this.encoder = encoder;
  }

  ModuleReport round(ModulePlan module) {
    long start = System.nanoTime();
    float globalScale = globalScales.of(module);
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      HostTensor original = plan.checkpoint().read(module.source(), arena);
      Tensor weight = scope.upload(original);
      WeightLayout layout = module.layout();
      QuantizedWeight result =
          layout.packed()
              ? Rtn.solvePacked(device, weight, module.weights(), globalScale, scope)
              : Rtn.solve(device, weight, module.weights(), globalScale, scope);
      encoder.encode(result, layout, original);
      device.synchronize();
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    return new ModuleReport(module.linear().name(), "rtn", Double.NaN, 0, false, seconds);
  }
}
