#!/usr/bin/env python3
"""Makes small checkpoints as other tools quantize them, and digests of what those tools dequantize them to.

usage: make_foreign.py AUTOAWQ_SOURCE MODELOPT_PACKAGE GOLDEN
  with transformers and compressed-tensors importable; AUTOAWQ_SOURCE: unpacked autoawq-0.2.9.tar.gz, MODELOPT_PACKAGE: unpacked
  nvidia_modelopt-0.47.0 wheel, GOLDEN: folder of checkpoints that llm-compressor wrote.
Each folder here gets config.json, model.safetensors and plain.tsv: name, dtype, shape and SHA-256 of every tensor of the plain checkpoint.
"""
import hashlib, importlib.util, json, os, sys, types
import torch
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
awq_source, modelopt_package, golden = sys.argv[1:]
NAMES = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32"}


def model(hidden, intermediate, heads, kv_heads, dtype):
    """A Llama of one layer; heavy-tailed, with an all-zero row and a negative zero in each matrix."""
    torch.manual_seed(7)
    head = hidden // heads
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=hidden, intermediate_size=intermediate,
                  num_hidden_layers=1, num_attention_heads=heads, num_key_value_heads=kv_heads, vocab_size=48, rms_norm_eps=1e-6,
                  hidden_act="silu", max_position_embeddings=128, rope_theta=10000.0, tie_word_embeddings=False,
                  torch_dtype=str(dtype).removeprefix("torch."))
    linear = {"self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (kv_heads * head, hidden), "self_attn.v_proj": (kv_heads * head, hidden),
              "self_attn.o_proj": (hidden, hidden), "mlp.gate_proj": (intermediate, hidden), "mlp.up_proj": (intermediate, hidden),
              "mlp.down_proj": (hidden, intermediate)}
    matrices = {}
    for name, shape in linear.items():
        w = torch.randn(shape) * torch.exp(torch.randn(shape) * 0.8) * 0.03
        w[1] = 0
        w[0, 0] = -0.0
        matrices["model.layers.0." + name] = w.to(dtype)
    others = {"model.embed_tokens.weight": torch.randn(48, hidden).to(dtype), "lm_head.weight": torch.randn(48, hidden).to(dtype) * 0.05,
              "model.norm.weight": torch.ones(hidden, dtype=dtype), "model.layers.0.input_layernorm.weight": torch.ones(hidden, dtype=dtype),
              "model.layers.0.post_attention_layernorm.weight": torch.ones(hidden, dtype=dtype)}
    return config, matrices, others


def digest(name, t):
    shape = ",".join(map(str, t.shape))
    sha = hashlib.sha256(t.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
    return f"{name}\t{NAMES[t.dtype]}\t{shape}\t{sha}\n"


def write(folder, config, stored, plain, **files):
    out = os.path.join(HERE, folder)
    os.makedirs(out, exist_ok=True)
    json.dump(config, open(os.path.join(out, "config.json"), "w"), indent=2)
    save_file({k: v.contiguous() for k, v in stored.items()}, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    open(os.path.join(out, "plain.tsv"), "w").writelines(digest(k, plain[k]) for k in sorted(plain))
    for name, content in files.items():
        json.dump(content, open(os.path.join(out, name + ".json"), "w"), indent=2)


def fp8_block():
    """DeepSeek's form: blocks of 128 x 128 that the matrices don't fill; dequantized by transformers."""
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize
    quantizer = types.SimpleNamespace(quantization_config=types.SimpleNamespace(weight_block_size=[128, 128]))
    config, matrices, others = model(160, 144, 5, 1, torch.bfloat16)
    stored, plain = dict(others), dict(others)
    for name, w in matrices.items():
        rows, columns = w.shape
        padded = torch.zeros(-(-rows // 128) * 128, -(-columns // 128) * 128)
        padded[:rows, :columns] = w.float()
        blocks = padded.view(padded.shape[0] // 128, 128, padded.shape[1] // 128, 128)
        scale = blocks.abs().amax(dim=(1, 3)).clamp(min=1e-12) / 448
        codes = (blocks / scale[:, None, :, None]).reshape(padded.shape)[:rows, :columns].to(torch.float8_e4m3fn)
        stored[name + ".weight"], stored[name + ".weight_scale_inv"] = codes, scale
        full = torch.zeros(padded.shape, dtype=torch.float8_e4m3fn)
        full[:rows, :columns] = codes
        # The tool wants whole blocks.
        value = Fp8Dequantize(quantizer)._dequantize_one(full, scale, torch.bfloat16)
        plain[name + ".weight"] = value[:rows, :columns].to(torch.bfloat16)
    config["quantization_config"] = dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[128, 128])
    write("fp8-block", config, stored, plain)


def modelopt_nvfp4():
    sys.path.insert(0, modelopt_package)
    from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor
    config, matrices, others = model(64, 96, 2, 1, torch.bfloat16)
    stored, plain = dict(others), dict(others)
    for name, w in matrices.items():
        q, scale, scale2 = NVFP4QTensor.quantize(w.clone(), 16)
        stored[name + ".weight"], stored[name + ".weight_scale"], stored[name + ".weight_scale_2"] = q._quantized_data, scale, scale2
        stored[name + ".input_scale"] = torch.tensor(0.01)
        value = q.dequantize(torch.bfloat16, scale=scale, double_scale=scale2, block_sizes={-1: 16})
        # Its table has 0 for the code of -0, compressed-tensors and the format have -0.
        code = torch.stack([q._quantized_data & 15, q._quantized_data >> 4], -1).view(w.shape)
        plain[name + ".weight"] = torch.where(code == 8, torch.tensor(-0.0, dtype=torch.bfloat16), value)
    for kind in "kv":
        stored[f"model.layers.0.self_attn.{kind}_proj.{kind}_scale"] = torch.tensor(0.5)
    config["quantization_config"] = dict(quant_method="modelopt", quant_algo="NVFP4", ignore=["lm_head"], producer=dict(name="modelopt", version="0.47.0"))
    quant = dict(quant_algo="NVFP4", kv_cache_quant_algo="FP8", group_size=16, exclude_modules=["lm_head"])
    write("modelopt-nvfp4", config, stored, plain, hf_quant_config=dict(producer=dict(name="modelopt", version="0.47.0"), quantization=quant))


def autoawq():
    def package(name, path, **members):
        module = types.ModuleType(name)
        module.__path__ = [path]
        module.__dict__.update(members)
        sys.modules[name] = module
    # Their __init__ files import all models, and CUDA kernels.
    root = os.path.join(awq_source, "awq")
    package("awq", root)
    package("awq.utils", os.path.join(root, "utils"))
    package("awq.utils.utils", root, get_best_device=lambda: "cpu")
    package("awq.utils.module", root, try_import=lambda name: (None, "not here"))
    package("awq.modules", os.path.join(root, "modules"))
    package("awq.modules.linear", os.path.join(root, "modules/linear"))
    from awq.modules.linear.gemm import WQLinear_GEMM
    from awq.utils.packing_utils import dequantize_gemm
    group = 32
    config, matrices, others = model(64, 96, 2, 1, torch.float16)
    stored, plain = dict(others), dict(others)
    for name, w in matrices.items():
        g = w.float().view(w.shape[0], -1, group)
        low, high = g.amin(-1).clamp(max=0), g.amax(-1).clamp(min=0)
        scale = ((high - low).clamp(min=1e-5) / 15).half()
        zero = (-torch.round(low / scale.float())).clamp(0, 15)
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False).half()
        # Rounded values, as AutoAWQ calls it.
        code = torch.clamp(torch.round(g / scale.float()[..., None]) + zero[..., None], 0, 15)
        linear.weight.data = ((code - zero[..., None]) * scale.float()[..., None]).reshape(w.shape).half()
        q = WQLinear_GEMM.from_linear(linear, 4, group, scales=scale.t().contiguous(), zeros=zero.t().contiguous())
        stored[name + ".qweight"], stored[name + ".qzeros"], stored[name + ".scales"] = q.qweight, q.qzeros, q.scales
        plain[name + ".weight"] = dequantize_gemm(q.qweight, q.qzeros, q.scales, 4, group).t().contiguous()
    config["quantization_config"] = dict(quant_method="awq", bits=4, group_size=group, zero_point=True, version="gemm", modules_to_not_convert=None)
    write("autoawq", config, stored, plain)


def compressed_tensors():
    """What compressed-tensors makes of the goldens' weights: a digest a linear, in compressed-tensors.tsv."""
    from compressed_tensors.entrypoints.convert import CompressedTensorsDequantizer
    lines = []
    for name in sorted(os.listdir(golden)):
        if not name.startswith("rtn-") or name in ("rtn-embedding-w8", "rtn-fp8", "rtn-nvfp4", "rtn-w4a16-imatrix", "rtn-w8a8-static-asym"):
            continue  # the first it can't load; the weights of the others are those of another row
        path = os.path.join(golden, name)
        stored = load_file(os.path.join(path, "model.safetensors"))
        plain = CompressedTensorsDequantizer(path, ignore=["re:.*embed_tokens"]).process(stored)
        for key in sorted(plain):
            if key.endswith("_proj.weight"):
                lines.append(name + "\t" + digest(key, plain[key]))
    open(os.path.join(HERE, "compressed-tensors.tsv"), "w").writelines(lines)


if __name__ == "__main__":
    fp8_block()
    autoawq()
    compressed_tensors()
    modelopt_nvfp4()
