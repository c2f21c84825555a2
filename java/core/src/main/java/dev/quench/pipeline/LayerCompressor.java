package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.calibration.Hessian;
import dev.quench.checkpoint.TensorReader;
import dev.quench.device.Device;
import dev.quench.device.DeviceException;
import dev.quench.device.Scope;
import dev.quench.device.Tensor;
import dev.quench.format.WeightEncoder;
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
  private final Map<String, ModulePlan> modules;
  private final TensorReader originals;
  private final GlobalScales globalScales;
  private final WeightEncoder encoder;
  private final Propagation propagation;
  private final Consumer<ModuleReport> reports;
  private final Cancellation cancellation;

  LayerCompressor(
      Device device,
      ActivationStore store,
      Map<String, ModulePlan> modules,
      TensorReader originals,
      GlobalScales globalScales,
      WeightEncoder encoder,
      Propagation propagation,
      Consumer<ModuleReport> reports,
      Cancellation cancellation) {
    this.device = device;
    this.store = store;
    this.modules = modules;
    this.originals = originals;
    this.globalScales = globalScales;
    this.encoder = encoder;
    this.propagation = propagation;
    this.reports = reports;
    this.cancellation = cancellation;
  }

  /**
   * @param steps of the layer, in order
   * @param weights the layer's weights; compressed ones are replaced by their dequantized values
   * @param last whether nobody reads the layer's output, so that it needn't be computed
   */
  void compress(List<Step> steps, LayerWeights weights, boolean last) {
    switch (propagation) {
      case STEP -> stepByStep(steps, weights, last);
      case LAYER -> wholeLayer(steps, weights, last);
    }
  }

  /** One pass: the inputs of a step are what its compressed predecessors produce. */
  private void stepByStep(List<Step> steps, LayerWeights weights, boolean last) {
    Optional<Step> pending = Optional.empty();
    for (Step step : steps) {
      try (Scope scope = device.openScope()) {
        Optional<Hessian> hessian =
            needsHessian(step) ? Optional.of(newHessian(step, scope)) : Optional.empty();
        for (int b = 0; b < store.batches(); b++) {
          cancellation.throwIfRequested();
          try (ActivationStore.Visit visit = store.visit(b)) {
            pending.ifPresent(previous -> run(previous, visit.tokens(), weights));
            hessian.ifPresent(sum -> observe(step, visit.tokens(), weights, sum));
          }
        }
        solve(step, weights, hessian);
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
  private void wholeLayer(List<Step> steps, LayerWeights weights, boolean last) {
    try (Scope scope = device.openScope()) {
      Map<Step, Hessian> hessians = new LinkedHashMap<>();
      for (Step step : steps) {
        if (needsHessian(step)) {
          hessians.put(step, newHessian(step, scope));
        }
      }
      for (int b = 0; b < store.batches(); b++) {
        cancellation.throwIfRequested();
        try (ActivationStore.Visit visit = store.visit(b)) {
          TokenBatch copy = visit.scratchCopy();
          for (Step step : steps) {
            Hessian hessian = hessians.get(step);
            if (hessian != null) {
              observe(step, copy, weights, hessian);
            }
            if (step != steps.getLast()) {
              run(step, copy, weights);
            }
          }
        }
      }
      for (Step step : steps) {
        solve(step, weights, Optional.ofNullable(hessians.get(step)));
      }
    }
    if (!last) {
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

  private Hessian newHessian(Step step, Scope scope) {
    return new Hessian(device, step.linears().getFirst().inFeatures(), scope);
  }

  private boolean needsHessian(Step step) {
    return step.linears().stream()
        .anyMatch(
            linear ->
                modules.containsKey(linear.name())
                    && modules.get(linear.name()).modifier() instanceof GptqSpec);
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

  private void observe(Step step, TokenBatch batch, LayerWeights weights, Hessian hessian) {
    try (Scope work = device.openScope()) {
      hessian.add(step.input(batch, weights, work), batch.starts().length - 1L);
    } catch (DeviceException e) {
      throw e.during("the Hessian of " + first(step));
    }
  }

  /**
   * Compresses the linears of a step; those that share options share a factorization of the
   * Hessian.
   */
  private void solve(Step step, LayerWeights weights, Optional<Hessian> hessian) {
    record FactorKey(Gptq.Options options, boolean actOrder) {}
    Map<FactorKey, Optional<Gptq>> factors = new HashMap<>();
    try (Scope scope = device.openScope()) {
      for (LinearSpec linear : step.linears()) {
        ModulePlan plan = modules.get(linear.name());
        if (plan == null) {
          continue;
        }
        cancellation.throwIfRequested();
        long start = System.nanoTime();
        Optional<Gptq> gptq = Optional.empty();
        if (plan.modifier() instanceof GptqSpec spec) {
          FactorKey key =
              new FactorKey(
                  new Gptq.Options(spec.blockSize(), spec.dampeningFraction()),
                  plan.weights().actOrder().isPresent());
          gptq =
              factors.computeIfAbsent(
                  key,
                  k ->
                      Gptq.prepare(
                          device,
                          k.options(),
                          hessian.orElseThrow(),
                          k.actOrder(),
                          linear.name(),
                          scope));
        }
        solve(plan, weights.get(linear.weight()), gptq, start);
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

  private void solve(ModulePlan plan, Tensor weight, Optional<Gptq> gptq, long start) {
    String module = plan.linear().name();
    QuantizationArgs args = plan.weights();
    boolean wantsGptq = plan.modifier() instanceof GptqSpec;
    try (Scope scope = device.openScope();
        Arena arena = Arena.ofShared()) {
      HostTensor stored = originals.read(plan.source(), arena);
      Tensor original = original(stored, weight, scope);
      QuantizedWeight result;
      double loss = Double.NaN;
      if (gptq.isPresent()) {
        Gptq.Solution solution = gptq.get().solve(original, weight, args, scope);
        result = solution.weight();
        loss = solution.loss();
      } else {
        result = Rtn.solve(device, original, args, globalScales.of(plan, device), scope);
      }
      encoder.encode(result, plan.layout(), stored);
      if (gptq.isPresent() || propagation == Propagation.STEP) {
        device.dequantize(
            result.codes(), result.scale(), result.zeroPoint(), args, result.globalScale(), weight);
      }
      device.synchronize();
      reports.accept(
          new ModuleReport(
              module,
              gptq.isPresent() ? "gptq" : "rtn",
              loss,
              gptq.map(Gptq::dampings).orElse(0),
              wantsGptq && gptq.isEmpty(),
              (System.nanoTime() - start) / 1e9));
    } catch (DeviceException e) {
      throw e.during(module);
    }
  }
}
