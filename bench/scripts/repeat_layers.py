#!/usr/bin/env python3
"""Makes a deeper model of one by repeating its layers, to see that memory doesn't grow with depth.

usage: repeat_layers.py MODEL OUT TIMES          needs: pip install safetensors torch
"""
import json
import re
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

source, out, times = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
out.mkdir(parents=True)
config = json.loads((source / "config.json").read_text())
layers = config["num_hidden_layers"]
tensors = {}
for name, tensor in load_file(source / "model.safetensors").items():
    match = re.match(r"model\.layers\.(\d+)\.(.*)", name)
    if not match:
        tensors[name] = tensor
        continue
    for copy in range(times):
        tensors[f"model.layers.{int(match[1]) + copy * layers}.{match[2]}"] = tensor.clone()
save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
config["num_hidden_layers"] = layers * times
(out / "config.json").write_text(json.dumps(config, indent=2))
for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
    if (source / name).exists():
        shutil.copy(source / name, out / name)
