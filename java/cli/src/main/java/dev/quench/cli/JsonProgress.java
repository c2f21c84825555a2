package dev.quench.cli;

import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/** An event a line, as a JSON object with the key {@code event}. */
final class JsonProgress implements ProgressListener {
  private static final JsonMapper JSON = new JsonMapper();

  private final PrintStream out;

  JsonProgress(PrintStream out) {
    this.out = out;
  }

  @Override
  public void on(ProgressEvent event) {
    Map<String, Object> line = new LinkedHashMap<>();
    switch (event) {
      case ProgressEvent.Started started -> {
        line.put("event", "started");
        line.put("job", started.job());
        line.put("detail", started.detail());
      }
      case ProgressEvent.LayerStarted layer -> {
        line.put("event", "layer_started");
        line.put("layer", layer.index());
        line.put("layers", layer.total());
      }
      case ProgressEvent.ModuleDone module -> {
        line.put("event", "module_done");
        line.put("module", module.module());
        line.put("method", module.method());
        if (!Double.isNaN(module.loss())) {
          line.put("loss", module.loss());
        }
        line.put("seconds", module.seconds());
      }
      case ProgressEvent.LayerDone layer -> {
        line.put("event", "layer_done");
        line.put("layer", layer.index());
        line.put("layers", layer.total());
        line.put("seconds", layer.seconds());
        line.put("seconds_left", layer.secondsLeft());
      }
      case ProgressEvent.Warning warning -> {
        line.put("event", "warning");
        line.put("text", warning.text());
      }
      case ProgressEvent.Note note -> {
        line.put("event", "note");
        line.put("text", note.text());
      }
      case ProgressEvent.Finished finished -> {
        line.put("event", "finished");
        line.putAll(finished.summary());
      }
    }
    out.println(JSON.writeValueAsString(line));
  }
}
