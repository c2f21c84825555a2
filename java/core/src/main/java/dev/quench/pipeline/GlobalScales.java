package dev.quench.pipeline;

import dev.quench.checkpoint.TensorReader;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.modifier.WeightRange;
import dev.quench.quantization.GlobalScale;
import dev.quench.quantization.ScaleFormat;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Global scales of modules: one for those that runtimes join, from the largest of their weights,
 * which are read for it once. Thread-safe.
 */
final class GlobalScales {
  private final TensorReader originals;
  private final Map<String, ModulePlan> modules;
  private final Map<String, List<String>> sets;

  /** By the sets' first modules. */
  private final Map<String, Float> known = new ConcurrentHashMap<>();

  GlobalScales(TensorReader originals, Map<String, ModulePlan> modules) {
    this.originals = originals;
    this.modules = modules;
    this.sets = FusedModules.sets(modules.keySet());
  }

  /**
   * That of a module; 1 if its scheme has none.
   *
   * @param importance of the input channels, which all of the set share, where observers need it
   * @param device looks at the weights of its set, if they weren't looked at before
   */
  float of(ModulePlan module, Optional<Tensor> importance, Device device) {
    if (module.weights().scaleFormat() != ScaleFormat.E4M3) {
      return GlobalScale.NONE;
    }
    String name = module.linear().name();
    List<String> set = sets.getOrDefault(name, List.of(name));
    return known.computeIfAbsent(
        set.getFirst(),
        first -> {
          float largest = 0;
          for (String member : set) {
            ModulePlan plan = Objects.requireNonNull(modules.get(member));
            largest = Math.max(largest, magnitude(plan, importance, device));
          }
          return GlobalScale.of(largest, module.layout().scaleDtype());
        });
  }

  private float magnitude(ModulePlan module, Optional<Tensor> importance, Device device) {
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofShared()) {
      Tensor weight = scope.upload(originals.read(module.source(), arena));
      return WeightRange.of(device, weight, module.weights(), importance, scope).magnitude(device);
    }
  }
}
