package dev.quench.pipeline;

/**
 * What became of one module.
 *
 * @param loss GPTQ's ½·Σ (w − ŵ)²/U²; NaN for round-to-nearest, which has no such figure
 * @param dampings how often the Hessian's damping had to be raised tenfold
 * @param fellBack whether it was rounded to nearest since its Hessian couldn't be factored
 */
public record ModuleReport(
    String module, String method, double loss, int dampings, boolean fellBack, double seconds) {}
