package dev.quench.pipeline;

import dev.quench.Cancellation;
import dev.quench.InvalidInputException;
import dev.quench.QuenchException;
import dev.quench.calibration.Batch;
import dev.quench.checkpoint.Checkpoint;
import dev.quench.checkpoint.CheckpointWriter;
import dev.quench.checkpoint.Fingerprint;
import dev.quench.checkpoint.Journal;
import dev.quench.checkpoint.TensorInfo;
import dev.quench.device.Device;
import dev.quench.device.Scope;
import dev.quench.format.StoredWeights;
import dev.quench.format.WeightLayout;
import dev.quench.model.Architecture;
import dev.quench.model.Compute;
import dev.quench.model.DecoderLayer;
import dev.quench.model.LayerWeights;
import dev.quench.model.OutputProjection;
import dev.quench.model.WeightSource;
import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import tools.jackson.databind.node.ObjectNode;

/**
 * Compresses a checkpoint: layer by layer, each read once, compressed and written, so that memory
 * doesn't grow with the model. A run that uses calibration data keeps a journal, and can be resumed
 * after the last finished layer.
 */
public final class Compressor {
  private final Device device;
  private final CompressRequest request;
  private final CompressionPlan plan;
  private final ProgressListener listener;
  private final Cancellation cancellation;
  private final WeightSource originals;
  private final GlobalScales globalScales;
  private final List<ModuleReport> reports = new ArrayList<>();
  private final LayerClock clock = new LayerClock();

  /**
   * @param plan of the request
   */
  public Compressor(
      Device device,
      CompressRequest request,
      CompressionPlan plan,
      ProgressListener listener,
      Cancellation cancellation) {
    this.device = device;
    this.request = request;
    this.plan = plan;
    this.listener = listener;
    this.cancellation = cancellation;
    this.originals = new StoredWeights(device, plan.checkpoint(), Map.of());
    this.globalScales = new GlobalScales(plan.checkpoint(), plan.modules());
  }

  /**
   * Runs it.
   *
   * @throws InvalidInputException if the output can't be made, or what there is to resume is of
   *     another run
   * @throws QuenchException if it fails; what is left of it can be resumed if a layer was finished,
   *     else nothing is left
   */
  public CompressionReport run() {
    long start = System.nanoTime();
    CheckpointWriter.checkOutput(request.output(), request.model());
    if (plan.needsCalibration()) {
      calibrated();
    } else {
      dataFree();
    }
    long sourceBytes =
        plan.checkpoint().tensors().values().stream().mapToLong(TensorInfo::bytes).sum();
    return new CompressionReport(
        request.output(),
        sourceBytes,
        plan.layout().tensorBytes(),
        reports,
        (System.nanoTime() - start) / 1e9);
  }

  // ---- without data

  /** Nothing to resume here: it is over sooner than it could be read back. */
  private void dataFree() {
    Path partial = CheckpointWriter.partialFolder(request.output());
    if (request.resume() && Journal.exists(partial)) {
      throw new InvalidInputException(
          "%s is of a run with another recipe, one that calibrates, so it can't be resumed; repeat that run's options, or delete it and start anew."
              .formatted(partial));
    }
    if (request.resume()) {
      CheckpointWriter.discard(request.output());
    }
    CheckpointWriter writer = CheckpointWriter.create(request.output(), plan.layout());
    boolean finished = false;
    try (writer) {
      new DataFreeCompression(device, plan, writer, listener, cancellation).run(reports::add);
      finish(writer);
      finished = true;
    } finally {
      if (!finished) {
        writer.abort();
      }
    }
  }

  // ---- with calibration

  private void calibrated() {
    List<Batch> batches = request.batches();
    Path partial = CheckpointWriter.partialFolder(request.output());
    boolean resuming = request.resume() && Journal.exists(partial);
    if (resuming) {
      // Before the files are compared with the layout, which another recipe changes too.
      Journal.requireSame(partial, identity());
    } else if (request.resume()) {
      CheckpointWriter.discard(request.output());
    }
    CheckpointWriter writer =
        resuming
            ? CheckpointWriter.reopen(request.output(), plan.layout())
            : CheckpointWriter.create(request.output(), plan.layout());
    boolean keep = resuming;
    try (writer;
        Journal journal =
            resuming ? Journal.resume(partial, identity()) : Journal.create(partial, identity())) {
      int done = restore(journal, writer);
      keep |= done > 0;
      try (ActivationStore store = openStore(batches);
          ForwardPass forward =
              new ForwardPass(
                  new Compute(device, request.activations()),
                  plan.architecture(),
                  originals,
                  store)) {
        forward.embed();
        replay(done, writer, forward);
        for (int i = done; i < plan.architecture().layers(); i++) {
          compressLayer(i, done, writer, journal, store, forward);
          keep = true;
        }
        compressHead(writer, store, forward);
      }
      compressEmbedding(writer);
      copyRest(writer);
      checkFallbacks();
      finish(writer);
    } catch (QuenchException e) {
      throw afterFailure(e, writer, keep && !(e instanceof InvalidInputException && !resuming));
    }
  }

  /** What is left of a failed run: a folder that can be resumed, or nothing. */
  private QuenchException afterFailure(QuenchException e, CheckpointWriter writer, boolean keep) {
    if (!keep) {
      writer.abort();
      return e;
    }
    listener.on(
        new ProgressEvent.Note(
            "The finished layers are kept in %s: the same command with --resume goes on from there; delete the folder to start anew."
                .formatted(writer.partial())));
    return e;
  }

  private ActivationStore openStore(List<Batch> batches) {
    return ActivationStore.open(
        device,
        plan.architecture(),
        batches,
        request.propagation().side(),
        request.resources(),
        WorkingMemory.roomForActivations(device, PlanEstimate.working(plan, batches, device)));
  }

  /** Takes over what an earlier run finished; returns the number of layers. */
  private int restore(Journal journal, CheckpointWriter writer) {
    int done = 0;
    for (ObjectNode line : journal.finished()) {
      JournalLine layer = JournalLine.of(line);
      reports.addAll(layer.reports());
      writer.markWritten(tensorsOf(layer.layer()));
      done = layer.layer() + 1;
    }
    return done;
  }

  /**
   * Moves the tokens through the layers that are finished, as they went through them when they were
   * compressed.
   */
  private void replay(int done, CheckpointWriter writer, ForwardPass forward) {
    if (done == 0) {
      return;
    }
    listener.on(new ProgressEvent.Note("Resuming after layer %d.".formatted(done)));
    Map<String, WeightLayout> replayed = replayedLayouts();
    Set<String> originalWeights = new HashSet<>();
    for (ModulePlan module : plan.modules().values()) {
      if (!replayed.containsKey(module.linear().weight())) {
        originalWeights.add(module.linear().weight());
      }
    }
    WeightSource finished =
        new StoredWeights(
            device,
            (name, arena) ->
                plan.isOutputTensor(name) && !originalWeights.contains(name)
                    ? writer.read(name, arena)
                    : plan.checkpoint().read(name, arena),
            replayed);
    int readLayers = plan.architecture().layers() - (headNeedsCalibration() ? 0 : 1);
    for (int i = 0; i < Math.min(done, readLayers); i++) {
      cancellation.throwIfRequested();
      try (Scope scope = device.openScope()) {
        DecoderLayer layer = plan.architecture().layer(i);
        forward.layer(layer, layer.load(finished, scope));
      }
    }
  }

  /**
   * Weights that showed in what followed: not those rounded to nearest in llm-compressor's order.
   */
  private Map<String, WeightLayout> replayedLayouts() {
    Map<String, WeightLayout> layouts = new HashMap<>();
    for (ModuleReport report : reports) {
      if (request.propagation() == Propagation.STEP || report.method().equals("gptq")) {
        ModulePlan module = plan.module(report.module());
        layouts.put(module.linear().weight(), module.layout());
      }
    }
    return layouts;
  }

  private void compressLayer(
      int index,
      int first,
      CheckpointWriter writer,
      Journal journal,
      ActivationStore store,
      ForwardPass forward) {
    Architecture architecture = plan.architecture();
    long start = System.nanoTime();
    DecoderLayer layer = architecture.layer(index);
    listener.on(new ProgressEvent.LayerStarted(index, architecture.layers(), layer.prefix()));
    List<ModuleReport> layerReports = new ArrayList<>();
    LayerCompressor compressor = layerCompressor(writer, store, layerReports);
    try (Scope scope = device.openScope()) {
      boolean last = index == architecture.layers() - 1 && !headNeedsCalibration();
      LayerWeights weights = layer.load(originals, scope);
      if (index + 1 < architecture.layers()) {
        originals.prefetch(architecture.layer(index + 1).tensors());
      }
      compressor.compress(
          probe -> layer.steps(forward.compute().observedBy(probe), forward.rotary()),
          weights,
          last);
    }
    for (TensorInfo tensor : plan.copied()) {
      if (tensor.name().startsWith(layer.prefix())) {
        writer.copy(tensor);
      }
    }
    writer.force();
    journal.append(new JournalLine(index, layerReports).toJson());
    reports.addAll(layerReports);
    clock.layerDone(index, first, (System.nanoTime() - start) / 1e9);
  }

  private LayerCompressor layerCompressor(
      CheckpointWriter writer, ActivationStore store, List<ModuleReport> layerReports) {
    return new LayerCompressor(
        device,
        store,
        plan,
        globalScales,
        writer::write,
        request.propagation(),
        report -> {
          layerReports.add(report);
          tell(report);
        },
        cancellation);
  }

  private boolean headNeedsCalibration() {
    ModulePlan head = plan.modules().get(plan.architecture().head().name());
    return head != null && head.isCalibrated();
  }

  /** The output projection, if it is compressed: a layer of one step, whose result nobody reads. */
  private void compressHead(CheckpointWriter writer, ActivationStore store, ForwardPass forward) {
    if (!plan.modules().containsKey(plan.architecture().head().name())) {
      return;
    }
    OutputProjection head = new OutputProjection(plan.architecture());
    try (Scope scope = device.openScope()) {
      layerCompressor(writer, store, reports)
          .compress(
              probe -> List.of(head.step(forward.compute())), head.load(originals, scope), true);
    }
  }

  /** The embedding, if it is compressed; the tokens were looked up in the original. */
  private void compressEmbedding(CheckpointWriter writer) {
    ModulePlan embedding =
        plan.modules().get(ModelModules.moduleOf(plan.architecture().embedding()));
    if (embedding != null) {
      ModuleReport report =
          new WeightRounding(device.lanes().getFirst(), plan, globalScales, writer)
              .round(embedding);
      reports.add(report);
      tell(report);
    }
  }

  /** Estimates the time left from the layers done in this run. */
  private final class LayerClock {
    private double spent;

    void layerDone(int index, int first, double seconds) {
      spent += seconds;
      int total = plan.architecture().layers();
      double left = spent / (index + 1 - first) * (total - index - 1);
      listener.on(new ProgressEvent.LayerDone(index, total, seconds, left));
    }
  }

  private void tell(ModuleReport report) {
    listener.on(
        new ProgressEvent.ModuleDone(
            report.module(), report.method(), report.loss(), report.seconds()));
    if (report.dampings() > 0) {
      listener.on(
          new ProgressEvent.Warning(
              "%s: its Hessian is nearly singular; the damping was raised tenfold %d times."
                  .formatted(report.module(), report.dampings())));
    }
    if (report.fellBack()) {
      listener.on(
          new ProgressEvent.Warning(
              report.module()
                  + ": its Hessian can't be factored even with a thousandfold damping; the weight was rounded to nearest."));
    }
  }

  private List<String> tensorsOf(int layer) {
    String prefix = plan.architecture().layer(layer).prefix();
    return plan.outputTensors().stream().filter(name -> name.startsWith(prefix)).toList();
  }

  private void copyRest(CheckpointWriter writer) {
    List<String> prefixes = new ArrayList<>();
    for (int i = 0; i < plan.architecture().layers(); i++) {
      prefixes.add(plan.architecture().layer(i).prefix());
    }
    for (TensorInfo tensor : plan.copied()) {
      if (prefixes.stream().noneMatch(tensor.name()::startsWith)) {
        cancellation.throwIfRequested();
        writer.copy(tensor);
      }
    }
  }

  private void checkFallbacks() {
    List<String> fallbacks =
        reports.stream().filter(ModuleReport::fellBack).map(ModuleReport::module).toList();
    if (fallbacks.size() > request.maxFallbacks()) {
      throw new QuenchException(
          "%d modules fell back to round-to-nearest, --max-fallbacks allows %d: %s. More or longer calibration rows, or a higher dampening_frac, may help."
              .formatted(fallbacks.size(), request.maxFallbacks(), String.join(", ", fallbacks)));
    }
  }

  private void finish(CheckpointWriter writer) {
    writer.finish(
        plan.config(),
        plan.checkpoint().companionFiles(),
        Map.of("recipe.yaml", request.recipe().source()));
  }

  /** What decides the bytes of the result. */
  private SortedMap<String, String> identity() {
    SortedMap<String, String> identity = new TreeMap<>();
    // Of the stored tensors, even where the plan has what they are decoded to.
    identity.put("model", Fingerprint.of(Checkpoint.open(request.model())));
    identity.put("recipe", Fingerprint.of(request.recipe().source()));
    identity.put("calibration", request.calibration().orElseThrow().fingerprint());
    identity.put("order of propagation", request.propagation().name());
    identity.put("dtype of activations", request.activations().name());
    identity.put("shard size", Long.toString(request.maxShardSize()));
    identity.put("batch size", Integer.toString(request.batchTokens()));
    return identity;
  }
}
