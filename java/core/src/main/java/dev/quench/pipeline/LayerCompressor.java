package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.device.Device;
import dev.quench.device.DeviceException;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.format.ActivationEncoder;
import dev.quench.format.TensorSink;
import dev.quench.format.WeightEncoder;
import dev.quench.model.AttentionProbe;
import dev.quench.model.LayerWeights;
import dev.quench.model.LinearSpec;
import dev.quench.model.Step;
import dev.quench.model.TokenBatch;
import dev.quench.modifier.Gptq;
import dev.quench.modifier.QuantizedWeight;
import dev.quench.modifier.Rtn;
import dev.quench.quantization.QuantizationArgs;
import dev.quench.recipe.GptqSpec;
import dev.quench.tensor.HostTensor;
import java.lang.foreign.Arena;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Compresses the linears of one decoder layer after another, by what the calibration tokens look
 * like at their inputs, and moves the tokens on.
 */
final class LayerCompressor {
  private final Device device;
  private final ActivationStore store;
  private final CompressionPlan plan;
  private final GlobalScales globalScales;
  private final WeightEncoder encoder;
  private final ActivationEncoder activationEncoder;
  private final Propagation propagation;
  private final Consumer<ModuleReport> reports;
  private final Cancellation cancellation;

  LayerCompressor(
      Device device,
      ActivationStore store,
      CompressionPlan plan,
      GlobalScales globalScales,
      TensorSink sink,
      Propagation propagation,
      Consumer<ModuleReport> reports,
      Cancellation cancellation) {
    this.device = device;
    this.store = store;
    this.plan = plan;
    this.globalScales = globalScales;
    this.encoder = new WeightEncoder(device, sink);
    this.activationEncoder = new ActivationEncoder(sink);
    this.propagation = propagation;
    this.reports = reports;
    this.cancellation = cancellation;
  }

  /** The steps of a layer, in order, whose attention a probe sees. */
  @FunctionalInterface
  interface Steps {
    List<Step> observedBy(AttentionProbe probe);
  }

  /**
   * @param weights the layer's weights; compressed ones are replaced by their dequantized values
   * @param last whether nobody reads the layer's output, so that it needn't be computed
   */
  void compress(Steps steps, LayerWeights weights, boolean last) {
    try (Scope scope = device.openScope()) {
      AttentionStatistics attention =
          new AttentionStatistics(device, plan.attention(), store.rows(), scope);
      switch (propagation) {
        case STEP -> stepByStep(steps.observedBy(attention), weights, last);
        case LAYER -> wholeLayer(steps, attention, weights, last);
      }
      attention.encode(activationEncoder);
    }
  }

  /** One pass: the inputs of a step are what its compressed predecessors produce. */
  private void stepByStep(List<Step> steps, LayerWeights weights, boolean last) {
    Optional<Step> pending = Optional.empty();
    for (Step step : steps) {
      try (Scope scope = device.openScope()) {
        StepStatistics statistics = statistics(step, scope);
        for (int b = 0; b < store.batches(); b++) {
          cancellation.throwIfRequested();
          try (ActivationStore.Visit visit = store.visit(b)) {
            pending.ifPresent(previous -> run(previous, visit.tokens(), weights));
            statistics.observe(visit.tokens(), weights);
          }
        }
        solve(step, weights, statistics);
      }
      pending = Optional.of(step);
    }
    if (!last) {
      Step finalStep = pending.orElseThrow();
      for (int b = 0; b < store.batches(); b++) {
        cancellation.throwIfRequested();
        try (ActivationStore.Visit visit = store.visit(b)) {
          run(finalStep, visit.tokens(), weights);
        }
      }
    }
  }

  /**
   * Two passes, as llm-compressor does it: all statistics with the original weights first, then the
   * compressed layer.
   */
  private void wholeLayer(
      Steps layer, AttentionStatistics attention, LayerWeights weights, boolean last) {
    List<Step> observed = layer.observedBy(attention);
    try (Scope scope = device.openScope()) {
      Map<Step, StepStatistics> statistics = new LinkedHashMap<>();
      for (Step step : observed) {
        statistics.put(step, statistics(step, scope));
      }
      for (int b = 0; b < store.batches(); b++) {
        cancellation.throwIfRequested();
        try (ActivationStore.Visit visit = store.visit(b)) {
          TokenBatch copy = visit.scratchCopy();
          statistics.forEach(
              (step, seen) -> {
                seen.observe(copy, weights);
                if (step != observed.getLast()) {
                  run(step, copy, weights);
                }
              });
        }
      }
      statistics.forEach((step, seen) -> solve(step, weights, seen));
    }
    if (!last) {
      List<Step> steps = layer.observedBy(AttentionProbe.NONE);
      for (int b = 0; b < store.batches(); b++) {
        cancellation.throwIfRequested();
        try (ActivationStore.Visit visit = store.visit(b)) {
          for (Step step : steps) {
            run(step, visit.tokens(), weights);
          }
        }
      }
    }
  }

  private StepStatistics statistics(Step step, Scope scope) {
    return new StepStatistics(device, step, plan.modules(), store.rows(), scope);
  }

  private void run(Step step, TokenBatch batch, LayerWeights weights) {
    try (Scope work = device.openScope()) {
      step.apply(batch, step.input(batch, weights, work), weights, work);
    } catch (DeviceException e) {
      throw e.during("the forward pass through " + first(step));
    }
  }

  /** A step's name for messages. */
  private static String first(Step step) {
    return step.linears().getFirst().name();
  }

  /**
   * Compresses the linears of a step; those that share options share a factorization of the
   * Hessian.
   */
  private void solve(Step step, LayerWeights weights, StepStatistics statistics) {
    record FactorKey(Gptq.Options options, boolean actOrder) {}
    Map<FactorKey, Optional<Gptq>> factors = new HashMap<>();
    try (Scope scope = device.openScope()) {
      Optional<Tensor> importance = statistics.importance(scope);
      for (LinearSpec linear : step.linears()) {
        ModulePlan module = plan.modules().get(linear.name());
        if (module == null) {
          continue;
        }
        cancellation.throwIfRequested();
        long start = System.nanoTime();
        Optional<Gptq> gptq = Optional.empty();
        if (module.modifier() instanceof GptqSpec spec) {
          FactorKey key =
              new FactorKey(
                  new Gptq.Options(spec.blockSize(), spec.dampeningFraction()),
                  module.weights().actOrder().isPresent());
          gptq =
              factors.computeIfAbsent(
                  key,
                  k ->
                      Gptq.prepare(
                          device,
                          k.options(),
                          statistics.hessian().orElseThrow(),
                          k.actOrder(),
                          linear.name(),
                          scope));
        }
        module
            .input()
            .ifPresent(layout -> activationEncoder.encode(layout, statistics.ranges(layout)));
        solve(module, weights.get(linear.weight()), gptq, importance, start);
      }
    }
  }

  /**
   * The weight as it is stored. Where that would have to be copied to the device once more, it is
   * made of the values that are there, which are the same: F32 holds every BF16 and F16.
   */
  private Tensor original(HostTensor stored, Tensor weight, Scope scope) {
    if (device.sharesHostMemory()) {
      return scope.upload(stored);
    }
    Tensor original = scope.allocate(stored.dtype(), weight.rows(), weight.columns());
    device.convert(weight, original);
    return original;
  }

  private void solve(
      ModulePlan module,
      Tensor weight,
      Optional<Gptq> gptq,
      Optional<Tensor> importance,
      long start) {
    String name = module.linear().name();
    QuantizationArgs args = module.weights();
    boolean wantsGptq = module.usesHessian();
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofShared()) {
      HostTensor stored = plan.checkpoint().read(module.source(), arena);
      Tensor original = original(stored, weight, scope);
      QuantizedWeight result;
      double loss = Double.NaN;
      if (gptq.isPresent()) {
        Gptq.Solution solution = gptq.get().solve(original, weight, args, importance, scope);
        result = solution.weight();
        loss = solution.loss();
      } else {
        result =
            Rtn.solve(
                device,
                original,
                args,
                globalScales.of(module, importance, device),
                importance,
                scope);
      }
      encoder.encode(result, module.layout(), stored);
      if (gptq.isPresent() || propagation == Propagation.STEP) {
        result.dequantize(device, weight);
      }
      device.synchronize();
      reports.accept(
          new ModuleReport(
              name,
              gptq.isPresent() ? "gptq" : "rtn",
              loss,
              gptq.map(Gptq::dampings).orElse(0),
              wantsGptq && gptq.isEmpty(),
              (System.nanoTime() - start) / 1e9));
    } catch (DeviceException e) {
      throw e.during(name);
    }
  }
}
