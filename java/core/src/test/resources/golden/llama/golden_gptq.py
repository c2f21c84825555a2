#!/usr/bin/env python3
"""Makes what GoldenGptqTest and TorchBfloat16Test compare with, from the checkpoints that llm-compressor wrote.

usage: golden_gptq.py GOLDEN    (the folder with base/, calibration_ids.json and the gptq-* checkpoints with their recipe.yaml)
Writes beside itself:
  gptq-*/codes.safetensors  every eighth row of the codes of all linears
  bfloat16.tsv              SHA-256 of what the linears of base/ read, and of the logits, in bfloat16 with eager attention
  factors.safetensors       layer 0's factors of the inverse Hessians: upper triangles, row by row

Needs llmcompressor==0.14.0.1 compressed-tensors==0.19.0 transformers==5.17.0 torch==2.14.0, an AMD Zen 3 and two threads: MKL's
factorizations differ between processors and with the number of threads.
"""
import hashlib
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import gptq_quantize
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

golden, here = Path(sys.argv[1]), Path(__file__).parent
rows = json.loads((golden / "calibration_ids.json").read_text())
torch.set_num_threads(2)


def load():
    return AutoModelForCausalLM.from_pretrained(golden / "base", dtype="auto", attn_implementation="eager")


def codes(name):
    tensors = load_file(golden / name / "model.safetensors")
    kept = {}
    for key, tensor in tensors.items():
        if key.endswith("weight_packed") or tensor.dtype in (torch.int8, torch.float8_e4m3fn):
            kept[key] = tensor[::8].contiguous()
    save_file(kept, here / name / "codes.safetensors")


def activations():
    model = load()
    digests = {}

    def update(name, tensor):
        data = tensor.detach().contiguous().view(torch.int16).numpy().tobytes()
        digests.setdefault(name, hashlib.sha256()).update(data)

    for name, module in model.named_modules():
        if name.endswith(("q_proj", "o_proj", "gate_proj", "down_proj")):
            module.register_forward_hook(lambda m, args, out, name=name: update(name, args[0]))
    with torch.no_grad():
        for row in rows:
            update("logits", model(torch.tensor([row])).logits)
    lines = [f"{name}\t{digest.hexdigest()}\n" for name, digest in digests.items()]
    (here / "bfloat16.tsv").write_text("".join(lines))


def factors():
    """Modules come grouped by shape: q, o, k, v, gate, up, down."""
    found = []
    factorize = gptq_quantize.factorize_hessian

    def keep(*args):
        found.append(factorize(*args).clone())
        return found[-1]

    gptq_quantize.factorize_hessian = keep
    data = {"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]}
    oneshot(
        model=load(),
        recipe=str(golden / "gptq-fp8-dynamic" / "recipe.yaml"),
        dataset=Dataset.from_dict(data),
        num_calibration_samples=len(rows),
        shuffle_calibration_samples=False,
        batch_size=1,
    )
    kept = {}
    for name, index in (("qkv", 0), ("o", 1), ("gate_up", 4), ("down", 6)):
        factor = found[index][0]
        kept[name] = factor[tuple(torch.triu_indices(*factor.shape))].contiguous()
    save_file(kept, here / "factors.safetensors")


for folder in ("gptq-w4a16", "gptq-w4a16-no-actorder", "gptq-w8a8", "gptq-fp8-dynamic"):
    codes(folder)
activations()
factors()
