package dev.quench.cuda.standin;

/** {@code mbarrier}: barriers in shared memory that count arrivals and bytes. */
final class MemoryBarriers implements Family {

  @Override
  public boolean covers(Form form) {
    return form.opcode().equals("mbarrier");
  }

  @Override
  public String translate(Form form) {
    String what =
        form.need("init", "inval", "arrive", "expect_tx", "complete_tx", "test_wait", "try_wait");
    form.ignore("release", "acquire", "relaxed");
    MemoryAccess.ignoreScope(form);
    return switch (what) {
      case "init" -> "mbarrierInit(" + barrier(form, 0) + ", " + form.read(1, Type.U32) + ");";
      case "inval" -> "mbarrierInvalidate(" + barrier(form, 0) + ");";
      case "expect_tx" ->
          "mbarrierExpect(" + barrier(form, 0) + ", " + form.read(1, Type.U32) + ");";
      case "complete_tx" ->
          "mbarrierComplete(" + barrier(form, 0) + ", " + form.read(1, Type.U32) + ");";
      case "arrive" -> arrive(form);
      default -> await(form);
    };
  }

  private static String barrier(Form form, int operand) {
    boolean shared = MemoryAccess.takeShared(form);
    form.need("b64");
    return form.address(operand, shared, 8);
  }

  private static String arrive(Form form) {
    boolean expects = form.take("expect_tx");
    form.take("noComplete");
    // The first operand is a state or '_'; arrivals at a barrier elsewhere in a cluster have none.
    int at = form.operand(0) instanceof Ptx.Address ? 0 : 1;
    String barrier = barrier(form, at);
    String last = expects || form.size() > at + 1 ? form.read(at + 1, Type.U32) : "1u";
    String call =
        (expects ? "mbarrier_arrive_expect(" : "mbarrier_arrive(") + barrier + ", " + last;
    String state = at == 0 ? "" : form.write(0, Type.B64, "state");
    return "{ u64 state; " + call + ", &state); " + state + " }";
  }

  /** A state's lowest bit is the parity of its phase. */
  private static String await(Form form) {
    boolean parity = form.take("parity");
    String barrier = barrier(form, 1);
    String phase = parity ? form.read(2, Type.U32) : "u32(" + form.read(2, Type.B64) + ")";
    return form.write(0, Type.PRED, "mbarrier_wait(" + barrier + ", " + phase + ")");
  }
}
