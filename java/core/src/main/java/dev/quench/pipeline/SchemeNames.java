package dev.quench.pipeline;

import dev.quench.quantization.QuantizationArgs;
import dev.quench.quantization.QuantizationArgs.Type;
import java.util.Locale;

/** Short names of schemes, for tables. */
public final class SchemeNames {
  private SchemeNames() {}

  /** Such as {@code int4 group 128}, {@code int8 channel asymmetric}, {@code fp8 block 128×128}. */
  public static String of(QuantizationArgs args) {
    String code = (args.type() == Type.INT ? "int" : "fp") + args.numBits();
    String strategy = args.strategy().name().toLowerCase(Locale.ROOT).replace('_', ' ');
    String size =
        args.groupSize()
            .map(String::valueOf)
            .or(() -> args.blockStructure().map(b -> b.rows() + "×" + b.columns()))
            .map(text -> " " + text)
            .orElse("");
    return code + " " + strategy + size + (args.symmetric() ? "" : " asymmetric");
  }
}
