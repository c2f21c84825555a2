package dev.quench.progress;

/** Hears what a running job tells, on the job's thread. */
@FunctionalInterface
public interface ProgressListener {
  /** Hears nothing. */
  ProgressListener NONE = event -> {};

  void on(ProgressEvent event);
}
