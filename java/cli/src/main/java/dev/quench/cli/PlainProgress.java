package dev.quench.cli;

import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import java.io.PrintStream;
import java.util.Locale;
import java.util.OptionalDouble;

/** A line for each layer: for logs. */
final class PlainProgress implements ProgressListener {
  private final PrintStream out;

  /** Sum over the modules of the layer that have one. */
  private OptionalDouble loss = OptionalDouble.empty();

  private int modules;

  PlainProgress(PrintStream out) {
    this.out = out;
  }

  @Override
  public void on(ProgressEvent event) {
    switch (event) {
      case ProgressEvent.Started started -> out.println(started.job() + ": " + started.detail());
      case ProgressEvent.LayerStarted _ -> {}
      case ProgressEvent.ModuleDone module -> {
        modules++;
        if (!Double.isNaN(module.loss())) {
          loss = OptionalDouble.of(loss.orElse(0) + module.loss());
        }
      }
      case ProgressEvent.LayerDone layer -> {
        out.printf(
            Locale.ROOT,
            "layer %d/%d  %d modules%s  %.2f s, about %s left%n",
            layer.index() + 1,
            layer.total(),
            modules,
            loss.isPresent() ? String.format(Locale.ROOT, "  loss %.4g", loss.getAsDouble()) : "",
            layer.seconds(),
            duration(layer.secondsLeft()));
        modules = 0;
        loss = OptionalDouble.empty();
      }
      case ProgressEvent.Warning warning -> out.println("warning: " + warning.text());
      case ProgressEvent.Note note -> out.println(note.text());
      case ProgressEvent.Finished _ -> {}
    }
  }

  static String duration(double seconds) {
    long whole = Math.round(seconds);
    return whole < 60
        ? whole + " s"
        : whole < 3600
            ? "%d:%02d min".formatted(whole / 60, whole % 60)
            : "%d:%02d h".formatted(whole / 3600, whole / 60 % 60);
  }
}
