#!/usr/bin/env python3
"""Puts the scales of queries in their place, which llm-compressor 0.14 leaves uninitialised.

usage: golden_queries.py GOLDEN    (the folder with llama/base and llama/calibration_ids.json)
Runs transformers in bfloat16 over the calibration rows, averages the ranges of queries, keys and values as the observer minmax
does, checks that the scales of keys and values are those of llama/attention-fp8, and writes those of queries to its activations.tsv,
without the zero points, which symmetric quantization has none of.

Needs transformers==5.17.0 torch==2.14.0.
"""
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.models.llama import modeling_llama

golden, here = Path(sys.argv[1]), Path(__file__).parent
rows = json.loads((golden / "llama/calibration_ids.json").read_text())
model = AutoModelForCausalLM.from_pretrained(golden / "llama/base", dtype="auto", attn_implementation="eager")
ranges: dict[str, torch.Tensor] = {}


def observe(name: str, x: torch.Tensor) -> None:
    ends = torch.stack((x.amin(), x.amax()))
    ranges[name] = ranges[name] * (1.0 - 0.01) + ends * 0.01 if name in ranges else ends


eager = modeling_llama.eager_attention_forward


def observed(module, query, key, value, *args, **kwargs):
    for name, x in (("q", query), ("k", key), ("v", value)):
        observe(f"model.layers.{module.layer_idx}.self_attn.{name}_scale", x)
    return eager(module, query, key, value, *args, **kwargs)


modeling_llama.eager_attention_forward = observed
with torch.no_grad():
    for row in rows:
        model(torch.tensor([row]), use_cache=False)
table = here / "llama/attention-fp8/activations.tsv"
lines = []
for line in table.read_text().splitlines():
    name, dtype, shape, value = line.split("\t")
    if name.endswith("zero_point"):
        continue
    scale = (ranges[name].abs().max() / 448.0).view(torch.uint16).item().to_bytes(2, "little").hex()
    assert ".q_scale" in name or scale == value, (name, scale, value)
    lines.append(f"{name}\t{dtype}\t{shape}\t{scale}\n")
table.write_text("".join(lines))
