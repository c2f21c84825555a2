package dev.quench.progress;

import java.util.Map;

/** Something that a running job tells. */
public sealed interface ProgressEvent {
  /** A job begins. */
  record Started(String job, String detail) implements ProgressEvent {}

  /** A layer begins; {@code index} from 0. */
  record LayerStarted(int index, int total, String name) implements ProgressEvent {}

  /**
   * A module was compressed.
   *
   * @param loss GPTQ's loss; NaN where the method has none
   */
  record ModuleDone(String module, String method, double loss, double seconds)
      implements ProgressEvent {}

  /**
   * A layer is finished; {@code index} from 0.
   *
   * @param secondsLeft an estimate for the rest of the job
   */
  record LayerDone(int index, int total, double seconds, double secondsLeft)
      implements ProgressEvent {}

  /** Something that the user should know, but that doesn't stop the job. */
  record Warning(String text) implements ProgressEvent {}

  /** Something worth a line. */
  record Note(String text) implements ProgressEvent {}

  /** The job is done. */
  record Finished(Map<String, Object> summary) implements ProgressEvent {}
}
