package dev.quench.cuda.standin;

import java.util.List;
import java.util.Set;

/** Loads and stores. */
final class MemoryAccess implements Family {
  private static final Set<String> OPCODES =
      Set.of(
          "ld", "ldu", "st", "prefetch", "prefetchu", "discard", "applypriority", "createpolicy");
  private static final String[] HINTS = {
    "ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "weak", "L2::cache_hint", "unified"
  };

  @Override
  public boolean covers(Form form) {
    return OPCODES.contains(form.opcode());
  }

  @Override
  public String translate(Form form) {
    return switch (form.opcode()) {
      case "ld", "ldu" -> access(form, false);
      case "st" -> access(form, true);
      case "createpolicy" -> {
        ignoreAll(form);
        yield form.write(0, Type.B64, "u64(0)");
      }
      default -> {
        ignoreAll(form);
        yield ";";
      }
    };
  }

  /** All modifiers are hints how to cache. */
  private static void ignoreAll(Form form) {
    while (form.takePrefixed("").isPresent()) {
      // taken
    }
  }

  /** Takes a state space; what follows the double colon says which part of it. */
  static boolean takeShared(Form form) {
    return form.takeOne("shared", "shared::cta", "shared::cluster").isPresent();
  }

  static void ignoreScope(Form form) {
    form.ignore("cta", "cluster", "gpu", "sys");
  }

  private static String access(Form form, boolean stores) {
    form.ignore(HINTS);
    while (form.takePrefixed("L1::").isPresent() || form.takePrefixed("L2::").isPresent()) {
      // how to cache is a hint
    }
    boolean ordered = form.takeOne("volatile", "relaxed", "acquire", "release", "mmio").isPresent();
    ignoreScope(form);
    boolean shared = takeShared(form);
    boolean profiled = shared || form.has("global");
    form.takeOne("global", "local", "const", "param", "param::entry", "param::func");
    int count = form.takePrefixed("v").map(Integer::parseInt).orElse(1);
    Type type = form.needType();
    if (type.bits() < 8) {
      throw new Untranslatable("an access of type " + type.ptx());
    }
    int addressOperand = stores ? 0 : 1;
    long bytes = (long) count * type.bytes();
    List<Ptx.Operand> elements = form.elements(stores ? 1 : 0);
    if (elements.size() != count) {
      throw new Untranslatable(elements.size() + " registers for " + count + " elements");
    }
    StringBuilder text = new StringBuilder("{ const u64 address = ");
    text.append(form.address(addressOperand, shared, bytes)).append("; ");
    if (profiled) {
      text.append("PROFILE(")
          .append(shared)
          .append(", ")
          .append(stores)
          .append(", ")
          .append(bytes)
          .append(") ");
    }
    if (count > 1) {
      text.append("check_aligned<").append(bytes).append(">(address); ");
    }
    for (int i = 0; i < count; i++) {
      String place = "address" + (i == 0 ? "" : " + " + (long) i * type.bytes());
      text.append(
          stores
              ? store(form, elements.get(i), type, place, ordered)
              : load(form, elements.get(i), type, place, ordered));
      text.append(' ');
    }
    return text.append('}').toString();
  }

  /** Memory holds raw bits; signed types matter where a load extends them. */
  private static Type memoryType(Type type) {
    return type.isSigned() || type == Type.B128 ? type : IntegerArithmetic.bits(type);
  }

  private static String load(Form form, Ptx.Operand to, Type type, String place, boolean ordered) {
    Type memory = memoryType(type);
    String function = ordered ? "load_ordered<" : "load<";
    return form.names().write(to, memory, function + memory.cpp() + ">(" + place + ")");
  }

  private static String store(
      Form form, Ptx.Operand from, Type type, String place, boolean ordered) {
    Type bits = type == Type.B128 ? type : IntegerArithmetic.bits(type);
    String function = ordered ? "store_ordered<" : "store<";
    return function + bits.cpp() + ">(" + place + ", " + form.names().read(from, bits) + ");";
  }
}
