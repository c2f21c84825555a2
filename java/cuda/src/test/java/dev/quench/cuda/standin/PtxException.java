package dev.quench.cuda.standin;

/** A PTX text that the parser does not understand; the message names the line. */
final class PtxException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  PtxException(int line, String what) {
    super("PTX line " + line + ": " + what);
  }
}
