package dev.quench.recipe;

import java.util.ArrayList;
import java.util.List;

/** The modules of a Llama with two layers, in its order. */
final class TinyLlama {
  static final List<NamedModule> MODULES = modules();

  private TinyLlama() {}

  private static List<NamedModule> modules() {
    List<NamedModule> modules = new ArrayList<>();
    modules.add(new NamedModule("model", "LlamaModel"));
    modules.add(new NamedModule("model.embed_tokens", "Embedding"));
    for (int i = 0; i < 2; i++) {
      String layer = "model.layers." + i;
      modules.add(new NamedModule(layer, "LlamaDecoderLayer"));
      modules.add(new NamedModule(layer + ".self_attn", "LlamaAttention"));
      for (String projection : List.of("q_proj", "k_proj", "v_proj", "o_proj")) {
        modules.add(NamedModule.linear(layer + ".self_attn." + projection));
      }
      modules.add(new NamedModule(layer + ".mlp", "LlamaMLP"));
      for (String projection : List.of("gate_proj", "up_proj", "down_proj")) {
        modules.add(NamedModule.linear(layer + ".mlp." + projection));
      }
      modules.add(new NamedModule(layer + ".mlp.act_fn", "SiLU"));
      modules.add(new NamedModule(layer + ".input_layernorm", "LlamaRMSNorm"));
      modules.add(new NamedModule(layer + ".post_attention_layernorm", "LlamaRMSNorm"));
    }
    modules.add(new NamedModule("model.norm", "LlamaRMSNorm"));
    modules.add(NamedModule.linear("lm_head"));
    return List.copyOf(modules);
  }
}
