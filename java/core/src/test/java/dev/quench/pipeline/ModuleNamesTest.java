package dev.quench.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ModuleNamesTest {
  @ParameterizedTest
  @CsvSource({
    "model.layers.0.self_attn.q_proj, llama, Linear",
    "model.layers.0.mlp.gate_proj, llama, Linear",
    "model.layers.0.mlp.shared_expert_gate, qwen2_moe, Linear",
    "model.embed_tokens, llama, Embedding",
    "transformer.wte, gpt2, Embedding",
    "model.decoder.embed_positions, opt, Embedding",
    "bert.embeddings.word_embeddings, bert, Embedding",
    "gpt_neox.embed_in, gpt_neox, Embedding",
    "embed_out, gpt_neox, Linear",
    "model.layers.1.mlp.gate, qwen3_moe, Router",
    "model.layers.1.block_sparse_moe.gate, mixtral, Router",
    "model.layers.1.feed_forward.router, llama4, Router",
    "model.layers.1.mlp.router, gpt_oss, Router",
    "transformer.h.0.attn.c_attn, gpt2, Conv1D",
    "transformer.h.0.attn.c_attn, gpt_bigcode, Linear",
    "model.layers.0.self_attn.q_norm, qwen3, Norm",
    "lm_head, llama, Linear",
  })
  void classesAreGivenAwayByNames(String name, String modelType, String expected) {
    assertThat(ModuleNames.module(name, modelType).className()).isEqualTo(expected);
  }

  @Test
  void modulesAreInTheOrderOfModels() {
    List<String> expected =
        List.of(
            "model.embed_tokens",
            "model.layers.0.self_attn.q_proj",
            "model.layers.0.self_attn.k_proj",
            "model.layers.0.mlp.gate_proj",
            "model.layers.0.mlp.down_proj",
            "model.layers.2.self_attn.o_proj",
            "model.layers.2.mlp.experts.9.up_proj",
            "model.layers.2.mlp.experts.10.up_proj",
            "model.layers.2.mlp.gate",
            "model.layers.10.self_attn.q_proj",
            "lm_head");
    List<String> shuffled = new ArrayList<>(expected);
    Collections.shuffle(shuffled, new Random(1));

    shuffled.sort(ModuleNames.ORDER);

    assertThat(shuffled).containsExactlyElementsOf(expected);
  }
}
