package dev.quench.cuda.standin;

import java.util.List;
import java.util.Set;

/** What moves values between registers: {@code mov}, selections, conversions of addresses. */
final class DataMovement implements Family {
  private static final Set<String> OPCODES =
      Set.of("mov", "selp", "slct", "cvta", "isspacep", "mapa", "getctarank");

  @Override
  public boolean covers(Form form) {
    return OPCODES.contains(form.opcode());
  }

  @Override
  public String translate(Form form) {
    return switch (form.opcode()) {
      case "mov" -> move(form);
      case "selp" -> select(form);
      case "slct" -> selectBySign(form);
      case "cvta" -> convertAddress(form);
      case "isspacep" -> isInSpace(form);
      case "mapa" -> mapAddress(form);
      default -> {
        form.ignore("shared::cluster");
        form.needType();
        yield form.write(0, Type.U32, "0u");
      }
    };
  }

  private static String move(Form form) {
    Type type = form.needType();
    form.needSize(2, 2);
    if (form.operand(0) instanceof Ptx.Vector(List<Ptx.Operand> parts)) {
      return unpack(form, type, parts);
    }
    if (form.operand(1) instanceof Ptx.Vector(List<Ptx.Operand> parts)) {
      return form.write(0, raw(type), pack(form, type, parts));
    }
    Type bits = type == Type.PRED ? type : raw(type);
    return form.write(0, bits, form.read(1, bits));
  }

  private static Type raw(Type type) {
    return type == Type.B128 ? type : IntegerArithmetic.bits(type);
  }

  private static Type part(Type type, int parts) {
    return Type.named("b" + type.bits() / parts)
        .orElseThrow(() -> new Untranslatable("a vector of " + parts + " parts"));
  }

  private static String unpack(Form form, Type type, List<Ptx.Operand> parts) {
    Type part = part(type, parts.size());
    StringBuilder text =
        new StringBuilder(
            "{ const " + raw(type).cpp() + " whole = " + form.read(1, raw(type)) + "; ");
    for (int i = 0; i < parts.size(); i++) {
      text.append(
          form.names()
              .write(parts.get(i), part, part.cpp() + "(whole >> " + i * part.bits() + ")"));
      text.append(' ');
    }
    return text.append('}').toString();
  }

  private static String pack(Form form, Type type, List<Ptx.Operand> parts) {
    Type part = part(type, parts.size());
    String whole = raw(type).cpp();
    StringBuilder text = new StringBuilder(whole + "(");
    for (int i = 0; i < parts.size(); i++) {
      text.append(i == 0 ? "" : " | ");
      text.append(whole + "(" + form.names().read(parts.get(i), part) + ") << " + i * part.bits());
    }
    return text.append(')').toString();
  }

  private static String select(Form form) {
    Type bits = raw(form.needType());
    form.needSize(4, 4);
    return form.write(
        0, bits, form.read(3, Type.PRED) + " ? " + form.read(1, bits) + " : " + form.read(2, bits));
  }

  private static String selectBySign(Form form) {
    boolean flushes = form.take("ftz");
    Type bits = raw(form.needType());
    Type sign = form.needType();
    String condition = form.read(3, sign);
    if (flushes) {
      condition = "ftz(" + condition + ")";
    }
    return form.write(
        0, bits, condition + " >= 0 ? " + form.read(1, bits) + " : " + form.read(2, bits));
  }

  /** Shared addresses are offsets in the block's buffer; all others are addresses already. */
  private static String convertAddress(Form form) {
    boolean to = form.take("to");
    String space =
        form.need("shared", "shared::cta", "shared::cluster", "global", "local", "const", "param");
    Type type = form.needType();
    String value = form.read(1, type);
    if (!space.startsWith("shared")) {
      return form.write(0, type, value);
    }
    return form.write(
        0,
        type,
        type.cpp() + (to ? "(shared.offset(" + value + "))" : "(shared.base() + " + value + ")"));
  }

  private static String isInSpace(Form form) {
    String space =
        form.need("shared", "shared::cta", "shared::cluster", "global", "local", "const");
    String shared = "shared.holds(" + form.read(1, Type.U64) + ")";
    return switch (space) {
      case "global" -> form.write(0, Type.PRED, "!" + shared);
      case "local", "const" ->
          throw new Untranslatable("the stand-in can't tell " + space + " memory");
      default -> form.write(0, Type.PRED, shared);
    };
  }

  /** A cluster has one block, so that its rank-0 address is this block's own. */
  private static String mapAddress(Form form) {
    form.ignore("shared::cluster");
    Type type = form.needType();
    return form.write(
        0, type, "(only_rank(" + form.read(2, Type.U32) + "), " + form.read(1, type) + ")");
  }
}
