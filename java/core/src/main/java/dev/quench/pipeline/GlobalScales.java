package dev.quench.pipeline;

import dev.quench.checkpoint.TensorReader;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.modifier.WeightRange;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.ScaleFormat;
import java.lang.foreign.Arena;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Global scales of modules: one for those that runtimes join, from the largest of their weights.
 */
final class GlobalScales {
  private final Device device;
  private final TensorReader originals;
  private final Map<String, ModulePlan> modules;
  private final Map<String, List<String>> sets;
  private final Map<String, Float> known = new HashMap<>();

  GlobalScales(Device device, TensorReader originals, Map<String, ModulePlan> modules) {
    this.device = device;
    this.originals = originals;
    this.modules = modules;
    this.sets = FusedModules.sets(modules.keySet());
  }

  /** That of a module; 1 if its scheme has none. Reads the weights of its set, once. */
  float of(ModulePlan module) {
    if (module.weights().scaleFormat() != ScaleFormat.E4M3) {
      return GlobalScale.NONE;
    }
    String name = module.linear().name();
    Float scale = known.get(name);
    if (scale == null) {
      List<String> set = sets.getOrDefault(name, List.of(name));
      float largest = 0;
      for (String member : set) {
        largest = Math.max(largest, magnitude(Objects.requireNonNull(modules.get(member))));
      }
      scale = GlobalScale.of(largest, module.layout().scaleDtype());
      for (String member : set) {
        known.put(member, scale);
      }
    }
    return scale;
  }

  private float magnitude(ModulePlan module) {
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofShared()) {
      Tensor weight = scope.upload(originals.read(module.source(), arena));
      return WeightRange.of(device, weight, module.weights(), scope).magnitude(device);
    }
  }
}
