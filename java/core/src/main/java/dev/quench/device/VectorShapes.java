package dev.quench.device;

import java.util.Optional;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** The vector length that kernels use: the machine's preferred one, or the one forced for tests. */
final class VectorShapes {
  /** Forces the length: 128, 256 or 512. */
  static final String PROPERTY = "quench.vectorBits";

  static final VectorSpecies<Float> FLOAT =
      Optional.ofNullable(System.getProperty(PROPERTY))
          .map(VectorShapes::floatOf)
          .orElse(FloatVector.SPECIES_PREFERRED);

  private VectorShapes() {}

  private static VectorSpecies<Float> floatOf(String bits) {
    return switch (bits) {
      case "128" -> FloatVector.SPECIES_128;
      case "256" -> FloatVector.SPECIES_256;
      case "512" -> FloatVector.SPECIES_512;
      default -> throw new IllegalArgumentException(PROPERTY + " is 128, 256 or 512, not " + bits);
    };
  }
}
