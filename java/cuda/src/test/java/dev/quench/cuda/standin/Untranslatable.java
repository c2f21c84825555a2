package dev.quench.cuda.standin;

/** An instruction that has no meaning here yet; the message says which part of it. */
final class Untranslatable extends RuntimeException {
  private static final long serialVersionUID = 1L;

  Untranslatable(String reason) {
    super(reason);
  }
}
