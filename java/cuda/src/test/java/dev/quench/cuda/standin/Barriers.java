package dev.quench.cuda.standin;

import java.util.Set;

/** Barriers of a block, and fences. */
final class Barriers implements Family {
  private static final Set<String> OPCODES = Set.of("bar", "barrier", "membar", "fence");

  @Override
  public boolean covers(Form form) {
    return OPCODES.contains(form.opcode());
  }

  @Override
  public String translate(Form form) {
    if (form.opcode().equals("membar") || form.opcode().equals("fence")) {
      return fence(form);
    }
    if (form.take("warp")) {
      form.need("sync");
      return "warp_sync(" + form.read(0, Type.U32) + ");";
    }
    if (form.take("cluster")) {
      return clusterBarrier(form);
    }
    form.ignore("cta", "aligned");
    String kind = form.need("sync", "arrive", "red");
    return switch (kind) {
      case "sync" -> {
        form.needSize(1, 2);
        yield "barrier(" + barrier(form, 0, form.size()) + ");";
      }
      case "arrive" -> {
        form.needSize(2, 2);
        yield "barrierArrive(" + barrier(form, 0, 2) + ");";
      }
      default -> reduction(form);
    };
  }

  /** The barrier's number, and of how many threads it is where the instruction says so. */
  private static String barrier(Form form, int from, int to) {
    String text = form.read(from, Type.U32);
    return to - from > 1 ? text + ", " + form.read(from + 1, Type.U32) : text;
  }

  private static String reduction(Form form) {
    String operation = form.need("popc", "and", "or");
    Type type = form.needType();
    form.needSize(3, 4);
    String kind =
        switch (operation) {
          case "popc" -> "Reduction::kCount";
          case "and" -> "Reduction::kAnd";
          default -> "Reduction::kOr";
        };
    String result =
        "barrierReduce("
            + kind
            + ", "
            + form.read(form.size() - 1, Type.PRED)
            + ", "
            + barrier(form, 1, form.size() - 1)
            + ")";
    return form.write(0, type, type == Type.PRED ? result + " != 0" : "u32(" + result + ")");
  }

  /** A cluster has one block: arriving does nothing yet, waiting waits for the block. */
  private static String clusterBarrier(Form form) {
    form.ignore("aligned", "release", "relaxed", "acquire");
    return form.need("arrive", "wait").equals("wait") ? "cluster_barrier();" : ";";
  }

  private static String fence(Form form) {
    form.ignore(
        "proxy",
        "async",
        "async::generic",
        "async.global",
        "async.shared::cta",
        "alias",
        "tensormap::generic");
    form.ignore(
        "sc",
        "acq_rel",
        "acquire",
        "release",
        "mbarrier_init",
        "cta",
        "cluster",
        "gpu",
        "gl",
        "sys");
    form.ignore(
        "global",
        "shared::cta",
        "shared::cluster",
        "generic",
        "sync_restrict::shared::cta",
        "sync_restrict::shared::cluster");
    return "__atomic_thread_fence(__ATOMIC_SEQ_CST);";
  }
}
