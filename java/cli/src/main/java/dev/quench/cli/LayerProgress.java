package dev.quench.cli;

import dev.quench.pipeline.LayerListener;
import dev.quench.progress.ProgressEvent;
import dev.quench.progress.ProgressListener;

/** Makes progress events of finished layers. */
final class LayerProgress implements LayerListener {
  private final ProgressListener listener;
  private final long begin = System.nanoTime();
  private long last = begin;

  LayerProgress(ProgressListener listener) {
    this.listener = listener;
  }

  @Override
  public void layerDone(int index, int total) {
    long now = System.nanoTime();
    double left = (now - begin) / 1e9 / (index + 1) * (total - index - 1);
    listener.on(new ProgressEvent.LayerDone(index, total, (now - last) / 1e9, left));
    last = now;
  }
}
