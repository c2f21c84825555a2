package dev.quench.cuda.standin;

import static dev.quench.cuda.standin.HalfArithmetic.format;
import static dev.quench.cuda.standin.IntegerArithmetic.call;

import java.util.Optional;

/** {@code cvt} among integers, f16, bf16, tf32, f32, f64, and pairs of e4m3 and e5m2. */
final class Conversion implements Family {

  @Override
  public boolean covers(Form form) {
    return form.opcode().equals("cvt");
  }

  @Override
  public String translate(Form form) {
    Optional<String> toInteger = form.takeOne("rni", "rzi", "rmi", "rpi");
    Optional<String> rounding = form.takeOne("rna", "rn", "rz", "rm", "rp");
    boolean flushes = form.take("ftz");
    boolean saturates = form.take("sat");
    boolean finite = form.take("satfinite");
    boolean rectifies = form.take("relu");
    Type to = form.needType();
    Type from = form.needType();
    if (isPacked(to) || isPacked(from)) {
      return packed(form, to, from, rounding.orElse("rn"), finite, rectifies);
    }
    form.needSize(2, 2);
    if (to == Type.TF32) {
      return toTf32(form, from, rounding.orElse("rna"), finite, rectifies);
    }
    if (to.isInteger()) {
      return from.isInteger()
          ? integers(form, to, from, saturates)
          : realToInteger(
              form,
              to,
              from,
              toInteger.orElseThrow(() -> new Untranslatable("no rounding")),
              flushes);
    }
    if (HalfArithmetic.isHalf(to)) {
      String value = toHalf(form, to, from, toInteger, rounding.orElse("rn"), finite, flushes);
      value = saturates ? call("half_saturate<" + format(to) + ">", value) : value;
      return form.write(0, to, rectifies ? call("half_relu<" + format(to) + ">", value) : value);
    }
    return toReal(form, to, from, toInteger, rounding.orElse("rn"), flushes, saturates);
  }

  private static boolean isPacked(Type type) {
    return switch (type) {
      case F16X2, BF16X2, E4M3X2, E5M2X2 -> true;
      default -> false;
    };
  }

  /** Two values at once: the first operand becomes the upper half. */
  private static String packed(
      Form form, Type to, Type from, String rounding, boolean finite, boolean rectifies) {
    String function;
    if (from == Type.F32) {
      form.needSize(3, 3);
      function = "pack_pair<" + format(to) + ", Rounding::" + rounding + ">";
      return form.write(
          0,
          to,
          call(
              function,
              form.read(1, from),
              form.read(2, from),
              String.valueOf(finite),
              String.valueOf(rectifies)));
    }
    if (!rounding.equals("rn") || !isPacked(to) || !isPacked(from)) {
      throw new Untranslatable("conversion of " + from.ptx() + " to " + to.ptx());
    }
    form.needSize(2, 2);
    function = "convert_pair<" + format(to) + ", " + format(from) + ">";
    return form.write(
        0,
        to,
        call(function, form.read(1, from), String.valueOf(finite), String.valueOf(rectifies)));
  }

  private static String toTf32(
      Form form, Type from, String rounding, boolean finite, boolean rectifies) {
    if (from != Type.F32) {
      throw new Untranslatable("tf32 of " + from.ptx());
    }
    return form.write(
        0,
        Type.B32,
        call(
            "to_tf32<Rounding::" + rounding + ">",
            form.read(1, from),
            String.valueOf(finite),
            String.valueOf(rectifies)));
  }

  private static String integers(Form form, Type to, Type from, boolean saturates) {
    String value = form.read(1, from);
    return form.write(
        0,
        to,
        saturates ? "saturated<" + to.cpp() + ">(" + value + ")" : to.cpp() + "(" + value + ")");
  }

  private static String realToInteger(
      Form form, Type to, Type from, String rounding, boolean flushes) {
    return form.write(
        0,
        to,
        "to_integer<"
            + to.cpp()
            + ", Rounding::"
            + mode(rounding)
            + ">("
            + real(form, from, flushes)
            + ")");
  }

  /** The operand as a C++ float or double. */
  private static String real(Form form, Type from, boolean flushes) {
    String value =
        HalfArithmetic.isHalf(from)
            ? "f32(" + format(from) + "::value(" + form.read(1, from) + "))"
            : form.read(1, from);
    return flushes && from == Type.F32 ? call("ftz", value) : value;
  }

  private static String toHalf(
      Form form,
      Type to,
      Type from,
      Optional<String> toInteger,
      String rounding,
      boolean finite,
      boolean flushes) {
    String value = from.isInteger() ? form.read(1, from) : real(form, from, flushes);
    if (toInteger.isPresent()) {
      value = "integral<Rounding::" + mode(toInteger.get()) + ">(" + value + ")";
    }
    String function = "to_half<" + format(to) + ", Rounding::" + rounding + ">";
    return call(function, value, String.valueOf(finite));
  }

  private static String toReal(
      Form form,
      Type to,
      Type from,
      Optional<String> toInteger,
      String rounding,
      boolean flushes,
      boolean saturates) {
    String value = from.isInteger() ? form.read(1, from) : real(form, from, flushes);
    if (toInteger.isPresent()) {
      value = "integral<Rounding::" + mode(toInteger.get()) + ">(" + value + ")";
    }
    boolean exact = rounding.equals("rn") || (!from.isInteger() && from.bits() <= to.bits());
    value =
        exact
            ? to.cpp() + "(" + value + ")"
            : "convert_directed<" + to.cpp() + ", Rounding::" + rounding + ">(" + value + ")";
    if (flushes && to == Type.F32) {
      value = call("ftz", value);
    }
    return form.write(0, to, saturates ? call("saturate", value) : value);
  }

  /** {@code rzi} is the mode {@code rz}. */
  private static String mode(String toInteger) {
    return toInteger.substring(0, 2);
  }
}
