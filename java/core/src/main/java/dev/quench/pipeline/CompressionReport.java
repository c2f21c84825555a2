package dev.quench.pipeline;

import java.nio.file.Path;
import java.util.List;

/**
 * What a compression did.
 *
 * @param sourceBytes bytes of the original's tensors
 * @param outputBytes bytes of the result's tensors
 * @param modules what became of each compressed module
 * @param seconds from the plan to the finished checkpoint
 */
public record CompressionReport(
    Path output, long sourceBytes, long outputBytes, List<ModuleReport> modules, double seconds) {
  public CompressionReport {
    modules = List.copyOf(modules);
  }

  /** Modules that were rounded to nearest since their Hessian couldn't be factored. */
  public List<String> fallbacks() {
    return modules.stream().filter(ModuleReport::fellBack).map(ModuleReport::module).toList();
  }

  /** Modules whose Hessian needed more damping than asked for. */
  public List<String> damped() {
    return modules.stream()
        .filter(module -> module.dampings() > 0)
        .map(ModuleReport::module)
        .toList();
  }
}
