package dev.quench.cuda.standin;

import java.util.Optional;

/** Copies that run beside the thread: {@code cp.async} and {@code cp.async.bulk}. */
final class AsyncCopy implements Family {

  @Override
  public boolean covers(Form form) {
    return form.opcode().equals("cp");
  }

  @Override
  public String translate(Form form) {
    form.need("async");
    if (form.take("bulk")) {
      return bulk(form);
    }
    if (form.take("commit_group")) {
      return "cp_commit_group();";
    }
    if (form.take("wait_group")) {
      return "cp_wait_group(" + form.constant(0) + ");";
    }
    if (form.take("wait_all")) {
      return "cp_wait_all();";
    }
    return form.take("mbarrier") ? arriveWhenDone(form) : copy(form);
  }

  private static String arriveWhenDone(Form form) {
    form.need("arrive");
    boolean counted = form.take("noinc");
    boolean shared = MemoryAccess.takeShared(form);
    form.need("b64");
    return "mbarrier_arrive_after_copies(" + form.address(0, shared, 8) + ", " + counted + ");";
  }

  private static String copy(Form form) {
    form.need("ca", "cg");
    MemoryAccess.takeShared(form);
    form.need("global");
    boolean policy = form.take("L2::cache_hint");
    while (form.takePrefixed("L2::").isPresent()) {
      // how to cache is a hint
    }
    long bytes = form.constant(2);
    int given = form.size() - (policy ? 1 : 0);
    String sourceBytes = given > 3 ? sourceBytes(form, bytes) : String.valueOf(bytes);
    return "{ const u64 address = "
        + form.address(0, true, bytes)
        + "; const u64 source = "
        + form.address(1, false, bytes)
        + "; PROFILE_COPY("
        + bytes
        + ") cp_issue(pointer(address), pointer(source), "
        + bytes
        + ", "
        + sourceBytes
        + "); }";
  }

  /** The fourth operand is how many bytes to read, or a predicate that says to read none. */
  private static String sourceBytes(Form form, long bytes) {
    boolean predicate =
        form.operand(3) instanceof Ptx.Not
            || (form.operand(3) instanceof Ptx.Name name
                && form.names().register(name).type() == Type.PRED);
    return predicate
        ? "(" + form.read(3, Type.PRED) + " ? 0 : " + bytes + ")"
        : form.read(3, Type.U32);
  }

  // ---- bulk

  private static String bulk(Form form) {
    if (form.take("commit_group")) {
      return "bulk_commit_group();";
    }
    if (form.take("wait_group")) {
      form.take("read");
      return "bulk_wait_group(" + form.constant(0) + ");";
    }
    if (form.take("prefetch")) {
      while (form.takePrefixed("").isPresent()) {
        // a hint
      }
      return ";";
    }
    if (form.take("L2::cache_hint") && form.size() < 4) {
      throw new Untranslatable("no cache policy");
    }
    if (form.take("tensor")) {
      return tensor(form);
    }
    return form.take("bulk_group") ? plainStore(form) : plainLoad(form);
  }

  private static void needCompletion(Form form) {
    form.need("mbarrier::complete_tx::bytes");
  }

  private static String plainLoad(Form form) {
    needCompletion(form);
    MemoryAccess.takeShared(form);
    form.need("global");
    return "bulk_load("
        + form.address(0, true, 0)
        + ", "
        + form.address(1, false, 0)
        + ", "
        + form.read(2, Type.U32)
        + ", "
        + form.address(3, true, 8)
        + ", shared);";
  }

  private static String plainStore(Form form) {
    form.need("global");
    MemoryAccess.takeShared(form);
    return "bulk_store("
        + form.address(0, false, 0)
        + ", "
        + form.address(1, true, 0)
        + ", "
        + form.read(2, Type.U32)
        + ", shared);";
  }

  private static String tensor(Form form) {
    form.take("tile");
    int rank = Integer.parseInt(form.need("1d", "2d", "3d", "4d", "5d").substring(0, 1));
    boolean stores = form.take("bulk_group");
    form.need("global");
    MemoryAccess.takeShared(form);
    if (!stores) {
      needCompletion(form);
    }
    int at = stores ? 0 : 1;
    if (!(form.operand(at) instanceof Ptx.TensorAddress(var map, var coordinates))
        || coordinates.size() != rank) {
      throw new Untranslatable("coordinates of a tensor of rank " + rank);
    }
    String place =
        "{ const s32 coordinate[] = {"
            + String.join(
                ", ", coordinates.stream().map(c -> form.names().read(c, Type.S32)).toList())
            + "}; ";
    String tensor = form.names().read(map, Type.U64) + ", " + rank + ", coordinate";
    Optional<String> barrier = stores ? Optional.empty() : Optional.of(form.address(2, true, 8));
    return place
        + (stores
            ? "tensor_store(" + form.address(1, true, 0) + ", " + tensor + ", shared); }"
            : "tensor_load("
                + form.address(0, true, 0)
                + ", "
                + tensor
                + ", "
                + barrier.orElseThrow()
                + ", shared); }");
  }
}
