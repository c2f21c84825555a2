package dev.quench.cuda.standin;

import java.util.Set;

/** {@code atom} and {@code red}: read, change, write, as one step for all blocks. */
final class Atomics implements Family {
  private static final Set<String> OPCODES = Set.of("atom", "red");

  @Override
  public boolean covers(Form form) {
    return OPCODES.contains(form.opcode()) && !form.has("async");
  }

  @Override
  public String translate(Form form) {
    form.ignore("relaxed", "acquire", "release", "acq_rel", "noftz", "L2::cache_hint");
    MemoryAccess.ignoreScope(form);
    boolean shared = MemoryAccess.takeShared(form);
    form.take("global");
    String operation =
        form.need("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec");
    Type type = form.needType();
    boolean returns = form.opcode().equals("atom");
    int first = returns ? 1 : 0;
    String address = form.address(first, shared, type.bytes());
    String format = HalfArithmetic.isHalf(type) ? HalfArithmetic.format(type) : "";
    boolean real = type.isNativeFloat();
    if ((real || !format.isEmpty()) && !operation.equals("add") && !operation.equals("exch")) {
      throw new Untranslatable(operation + " of " + type.ptx());
    }
    Type value =
        operation.equals("exch") || operation.equals("cas") ? IntegerArithmetic.bits(type) : type;
    String arguments = form.read(first + 1, value);
    if (operation.equals("cas")) {
      arguments += ", " + form.read(first + 2, value);
    }
    String function =
        format.isEmpty()
            ? "atomic_" + operation + "<" + value.cpp() + ">"
            : "atomic_half_add<" + format + ", " + type.bitsCpp() + ">";
    String call = function + "(" + address + ", " + arguments + ")";
    return returns ? form.write(0, value, call) : "(void)" + call + ";";
  }
}
