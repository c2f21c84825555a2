package dev.quench.cuda.standin;

import java.util.Map;
import java.util.Optional;

/** The registers that tell a thread where it is, as C++ expressions. */
final class SpecialRegisters {
  private static final Map<String, String> EXPRESSIONS =
      Map.ofEntries(
          Map.entry("%tid.x", "cur->tid.x"),
          Map.entry("%tid.y", "cur->tid.y"),
          Map.entry("%tid.z", "cur->tid.z"),
          Map.entry("%ntid.x", "blk->ntid.x"),
          Map.entry("%ntid.y", "blk->ntid.y"),
          Map.entry("%ntid.z", "blk->ntid.z"),
          Map.entry("%ctaid.x", "blk->ctaid.x"),
          Map.entry("%ctaid.y", "blk->ctaid.y"),
          Map.entry("%ctaid.z", "blk->ctaid.z"),
          Map.entry("%nctaid.x", "blk->nctaid.x"),
          Map.entry("%nctaid.y", "blk->nctaid.y"),
          Map.entry("%nctaid.z", "blk->nctaid.z"),
          Map.entry("%laneid", "cur->lane"),
          Map.entry("%warpid", "(cur->linear / 32)"),
          Map.entry("%nwarpid", "((blk->threads + 31) / 32)"),
          Map.entry("%lanemask_eq", "(1u << cur->lane)"),
          Map.entry("%lanemask_lt", "((1u << cur->lane) - 1)"),
          Map.entry("%lanemask_le", "(~0u >> (31 - cur->lane))"),
          Map.entry("%lanemask_gt", "(~(~0u >> (31 - cur->lane)))"),
          Map.entry("%lanemask_ge", "(~((1u << cur->lane) - 1))"),
          Map.entry("%smid", "0u"),
          Map.entry("%nsmid", "1u"),
          Map.entry("%gridid", "0u"),
          // Clusters have one block.
          Map.entry("%is_explicit_cluster", "false"),
          Map.entry("%clusterid.x", "blk->ctaid.x"),
          Map.entry("%clusterid.y", "blk->ctaid.y"),
          Map.entry("%clusterid.z", "blk->ctaid.z"),
          Map.entry("%nclusterid.x", "blk->nctaid.x"),
          Map.entry("%nclusterid.y", "blk->nctaid.y"),
          Map.entry("%nclusterid.z", "blk->nctaid.z"),
          Map.entry("%cluster_ctaid.x", "0u"),
          Map.entry("%cluster_ctaid.y", "0u"),
          Map.entry("%cluster_ctaid.z", "0u"),
          Map.entry("%cluster_nctaid.x", "1u"),
          Map.entry("%cluster_nctaid.y", "1u"),
          Map.entry("%cluster_nctaid.z", "1u"),
          Map.entry("%cluster_ctarank", "0u"),
          Map.entry("%cluster_nctarank", "1u"),
          Map.entry("%dynamic_smem_size", "u32(blk->dynamicBytes)"),
          Map.entry("%total_smem_size", "u32(blk->sharedBytes)"),
          Map.entry("%clock", "u32(clock_ticks())"),
          Map.entry("%clock64", "clock_ticks()"),
          Map.entry("%globaltimer", "clock_ticks()"),
          Map.entry("WARP_SZ", "32u"));

  private SpecialRegisters() {}

  static Optional<String> expression(String name) {
    return Optional.ofNullable(EXPRESSIONS.get(name));
  }
}
