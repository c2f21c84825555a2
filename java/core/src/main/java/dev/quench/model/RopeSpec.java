package dev.quench.model;

/**
 * Which rotary position embedding an architecture uses (Su et al. 2021), by the names of Hugging
 * Face's {@code rope_type}.
 */
public sealed interface RopeSpec {
  /** Base of the geometric progression of frequencies. */
  double theta();

  /** Frequencies θ^(−2i/d). */
  record Default(double theta) implements RopeSpec {}

  /** Positions divided by {@code factor} (Chen et al. 2023, position interpolation). */
  record Linear(double theta, double factor) implements RopeSpec {}

  /**
   * Llama 3.1's scaling by wavelength: long waves are divided by {@code factor}, short ones kept,
   * those between interpolated.
   */
  record Llama3(
      double theta,
      double factor,
      double lowFrequencyFactor,
      double highFrequencyFactor,
      double originalContext)
      implements RopeSpec {

    private float scaled(float frequency) {
      double wavelength = 2 * Math.PI / frequency;
      if (wavelength < originalContext / highFrequencyFactor) {
        return frequency;
      }
      if (wavelength > originalContext / lowFrequencyFactor) {
        return (float) (frequency / factor);
      }
      double smooth =
          (originalContext / wavelength - lowFrequencyFactor)
              / (highFrequencyFactor - lowFrequencyFactor);
      return (float) ((1 - smooth) * frequency / factor + smooth * frequency);
    }
  }

  /**
   * Angular frequency of each pair of a head, rounded to float32 after every operation as the
   * reference implementation does.
   *
   * @param rotary elements of a head that turn; half as many frequencies are returned
   */
  default float[] frequencies(int rotary) {
    float[] frequency = new float[rotary / 2];
    for (int i = 0; i < frequency.length; i++) {
      float exponent = (float) (2 * i) / rotary;
      float base = 1f / (float) Math.pow(theta(), exponent);
      frequency[i] =
          switch (this) {
            case Default _ -> base;
            case Linear linear -> base / (float) linear.factor();
            case Llama3 llama3 -> llama3.scaled(base);
          };
    }
    return frequency;
  }
}
