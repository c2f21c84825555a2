package dev.quench.device;

/** Elementwise non-linearities of gated MLPs. */
public enum Activation {
  /** x / (1 + e^−x). */
  SILU
}
