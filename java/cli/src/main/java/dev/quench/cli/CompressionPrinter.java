package dev.quench.cli;

import dev.quench.pipeline.AttentionPlan;
import dev.quench.pipeline.CompressionPlan;
import dev.quench.pipeline.CompressionReport;
import dev.quench.pipeline.ModulePlan;
import dev.quench.pipeline.ModuleReport;
import dev.quench.pipeline.PlanEstimate;
import dev.quench.pipeline.SchemeNames;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import tools.jackson.databind.json.JsonMapper;

/** Prints what a compression is going to do, and what it did. */
final class CompressionPrinter {
  private static final JsonMapper JSON = new JsonMapper();

  private final PrintWriter out;
  private final boolean json;

  CompressionPrinter(PrintWriter out, boolean json) {
    this.out = out;
    this.json = json;
  }

  void plan(CompressionPlan plan, PlanEstimate estimate) {
    if (json) {
      Map<String, Object> line = new LinkedHashMap<>();
      plan.family().ifPresent(family -> line.put("layers", family.layers()));
      line.put("modules", plan.modules().size());
      line.put("input_bytes", estimate.inputBytes());
      line.put("output_bytes", estimate.outputBytes());
      line.put("memory_bytes", estimate.memoryBytes());
      line.put("gpu_memory_bytes", estimate.deviceBytes());
      line.put("spill_bytes", estimate.spillBytes());
      line.put("seconds", estimate.seconds());
      out.println(JSON.writeValueAsString(line));
      return;
    }
    Map<String, Integer> schemes = new TreeMap<>();
    for (ModulePlan module : plan.modules().values()) {
      schemes.merge(
          module.modifier().name()
              + " "
              + SchemeNames.of(module.weights())
              + module.input().map(input -> ", input " + SchemeNames.of(input.args())).orElse(""),
          1,
          Integer::sum);
    }
    for (AttentionPlan attention : plan.attention().values()) {
      schemes.merge(
          (attention.queries().isPresent() ? "attention " : "KV cache ")
              + SchemeNames.of(attention.keys().args()),
          1,
          Integer::sum);
    }
    out.println(
        plan.checkpoint().config().path("model_type").asString("unknown family")
            + plan.family()
                .map(
                    family ->
                        ": %d layers, %d linears"
                            .formatted(family.layers(), family.linears().size()))
                .orElse(": not a family that Quench has a description of; by names of tensors"));
    schemes.forEach((scheme, count) -> out.printf("  %d × %s%n", count, scheme));
    out.printf("  %d tensors copied%n", plan.copied().size());
    TextTable table = new TextTable("", "");
    table.row("input", ByteSize.format(estimate.inputBytes()));
    table.row(
        "output",
        ByteSize.format(estimate.outputBytes()) + " in " + plan.layout().shardCount() + " file(s)");
    table.row("calibration tokens", "%,d".formatted(estimate.tokens()));
    table.row("memory", "about " + ByteSize.format(estimate.memoryBytes()));
    if (estimate.deviceBytes() > 0) {
      table.row("GPU memory", "at least " + ByteSize.format(estimate.deviceBytes()));
    }
    table.row("disk", ByteSize.format(estimate.outputBytes() + estimate.spillBytes()));
    table.row("work", "%.3g TFLOP".formatted(estimate.flops() / 1e12));
    table.row("time", "about " + PlainProgress.duration(estimate.seconds()));
    table.print(out);
  }

  void report(CompressionReport report, Optional<PerplexityPair> perplexities) {
    if (json) {
      out.println(JSON.writeValueAsString(summary(report, perplexities)));
      return;
    }
    if (report.modules().stream().anyMatch(module -> !Double.isNaN(module.loss()))) {
      TextTable table = new TextTable("module", "method", "loss", "s");
      for (ModuleReport module : report.modules()) {
        table.row(
            module.module(),
            module.method() + (module.fellBack() ? " (fallback)" : ""),
            Double.isNaN(module.loss()) ? "-" : String.format(Locale.ROOT, "%.4g", module.loss()),
            String.format(Locale.ROOT, "%.2f", module.seconds()));
      }
      table.print(out);
      out.println();
    }
    list("damping raised", report.damped());
    list("rounded to nearest instead", report.fallbacks());
    out.printf(
        Locale.ROOT,
        "%d modules, %s -> %s (%.1f %%), %.1f s%n",
        report.modules().size(),
        ByteSize.format(report.sourceBytes()),
        ByteSize.format(report.outputBytes()),
        100.0 * report.outputBytes() / report.sourceBytes(),
        report.seconds());
    perplexities.ifPresent(
        pair ->
            out.printf(
                Locale.ROOT,
                "perplexity on %s (%,d tokens): %.3f -> %.3f%n",
                pair.text(),
                pair.before().predicted(),
                pair.before().value(),
                pair.after().value()));
    out.println("written to " + report.output());
  }

  void problem(Path output, String problem) {
    out.println("problem in " + output + ": " + problem);
  }

  private void list(String what, List<String> modules) {
    if (!modules.isEmpty()) {
      out.printf("%s: %d modules: %s%n", what, modules.size(), String.join(", ", modules));
    }
  }

  private static Map<String, Object> summary(
      CompressionReport report, Optional<PerplexityPair> perplexities) {
    Map<String, Object> summary = new LinkedHashMap<>();
    summary.put("output", report.output().toString());
    summary.put("source_bytes", report.sourceBytes());
    summary.put("output_bytes", report.outputBytes());
    summary.put("seconds", report.seconds());
    summary.put("damped", report.damped());
    summary.put("fallbacks", report.fallbacks());
    Map<String, Object> losses = new LinkedHashMap<>();
    for (ModuleReport module : report.modules()) {
      if (!Double.isNaN(module.loss())) {
        losses.put(module.module(), module.loss());
      }
    }
    summary.put("losses", losses);
    perplexities.ifPresent(
        pair -> {
          summary.put("perplexity_before", pair.before().value());
          summary.put("perplexity_after", pair.after().value());
        });
    return summary;
  }
}
