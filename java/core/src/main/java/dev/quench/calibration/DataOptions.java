package dev.quench.calibration;

/**
 * Which token rows are made of a file.
 *
 * @param samples most rows
 * @param sequenceLength most tokens of a row
 * @param seed of the choice of rows
 * @param packing how documents become rows
 */
public record DataOptions(int samples, int sequenceLength, long seed, Packing packing) {
  /** How documents become rows. */
  public enum Packing {
    /** A row is a document, cut to the sequence length; which ones is drawn by the seed. */
    ROWS,
    /**
     * Documents are joined in their order and cut into rows of exactly the sequence length; the
     * first ones are taken.
     */
    CONCATENATE
  }
}
