package dev.quench.pipeline;

import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.format.WeightEncoder;
import dev.quench.format.WeightLayout;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.modifier.Rtn;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.util.Optional;

/** Rounds weights of a plan to nearest and writes what they become, on one thread. */
final class WeightRounding {
  private final Device device;
  private final CompressionPlan plan;
  private final GlobalScales globalScales;
  private final WeightEncoder encoder;

  /**
   * @param lane of a device, which works on the thread that drives it
   */
  WeightRounding(
      Device lane, CompressionPlan plan, GlobalScales globalScales, CheckpointWriter writer) {
    this.device = lane;
    this.plan = plan;
    this.globalScales = globalScales;
    this.encoder = new WeightEncoder(lane, writer::write);
  }

  ModuleReport round(ModulePlan module) {
    long start = System.nanoTime();
    float globalScale = globalScales.of(module, Optional.empty(), device);
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofConfined()) {
      HostTensor original = plan.checkpoint().read(module.source(), arena);
      Tensor weight = scope.upload(original);
      WeightLayout layout = module.layout();
      QuantizedWeight result =
          layout.packed()
              ? Rtn.solvePacked(device, weight, module.weights(), globalScale, scope)
              : Rtn.solve(device, weight, module.weights(), globalScale, Optional.empty(), scope);
      encoder.encode(result, layout, original);
      device.synchronize();
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    return new ModuleReport(module.linear().name(), "rtn", Double.NaN, 0, false, seconds);
  }
}
