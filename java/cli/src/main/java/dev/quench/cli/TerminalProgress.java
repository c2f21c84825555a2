package dev.quench.cli;

import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** A bar with the layer, the module, its loss and the time left. */
final class TerminalProgress implements ProgressListener {
  private Optional<ProgressBar> bar = Optional.empty();

  /** Whether stderr is one: only the launcher can see, {@code Console} knows stdin and stdout. */
  static boolean isTerminal() {
    return Boolean.getBoolean("quench.terminal");
  }

  @Override
  public void on(ProgressEvent event) {
    switch (event) {
      case ProgressEvent.Started started ->
          System.err.println(started.job() + ": " + started.detail());
      case ProgressEvent.LayerStarted layer -> {
        if (bar.isEmpty()) {
          bar = Optional.of(open(layer.total(), layer.index()));
        }
      }
      case ProgressEvent.ModuleDone module ->
          bar.ifPresent(
              b ->
                  b.setExtraMessage(
                      Double.isNaN(module.loss())
                          ? module.module()
                          : String.format(
                              Locale.ROOT, "%s loss %.3g", module.module(), module.loss())));
      case ProgressEvent.LayerDone layer -> {
        if (bar.isEmpty()) {
          bar = Optional.of(open(layer.total(), layer.index()));
        }
        bar.get().stepTo(layer.index() + 1L);
        if (layer.index() + 1 == layer.total()) {
          close();
        }
      }
      case ProgressEvent.Warning warning -> line("warning: " + warning.text());
      case ProgressEvent.Note note -> line(note.text());
      case ProgressEvent.Finished _ -> close();
    }
  }

  private void line(String text) {
    bar.ifPresent(ProgressBar::pause);
    System.err.println("\r\u001b[K" + text);
    bar.ifPresent(ProgressBar::resume);
  }

  private void close() {
    bar.ifPresent(ProgressBar::close);
    bar = Optional.empty();
  }

  private static ProgressBar open(int layers, int first) {
    return new ProgressBarBuilder()
        .setTaskName("layers")
        .setInitialMax(layers)
        .startsFrom(first, Duration.ZERO)
        .setStyle(ProgressBarStyle.ASCII)
        .build();
  }
}
