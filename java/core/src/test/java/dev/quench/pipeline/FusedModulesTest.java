package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

final class FusedModulesTest {
  @Test
  void joinsTheChildrenOfOneParent() {
    List<String> modules =
        List.of(
            "a.0.self_attn.q_proj",
            "a.0.self_attn.k_proj",
            "a.0.self_attn.v_proj",
            "a.0.self_attn.o_proj",
            "a.0.mlp.experts.3.gate_proj",
            "a.0.mlp.experts.3.up_proj",
            "a.0.mlp.experts.4.gate_proj",
            "a.1.self_attn.q_a_proj",
            "a.1.self_attn.kv_a_proj_with_mqa",
            "b.w1",
            "b.w2",
            "b.w3");

    assertThat(FusedModules.sets(modules))
        .hasSize(9)
        .containsEntry("a.0.self_attn.k_proj", modules.subList(0, 3))
        .containsEntry("a.0.mlp.experts.3.up_proj", modules.subList(4, 6))
        .containsEntry("a.1.self_attn.q_a_proj", modules.subList(7, 9))
        .containsEntry("b.w3", List.of("b.w1", "b.w3"))
        .doesNotContainKeys("a.0.self_attn.o_proj", "a.0.mlp.experts.4.gate_proj", "b.w2");
  }
}
