#!/usr/bin/env python3
"""Makes what GoldenActivationsTest compares with, from the checkpoints that llm-compressor wrote.

usage: golden_activations.py GOLDEN MODEL NAME...    (GOLDEN/MODEL/NAME has recipe.yaml, config.json and model.safetensors)
Writes to MODEL/NAME beside itself: recipe.yaml and config.json as they are; tensors.tsv: name, dtype, shape and SHA-256 of all
tensors but those that depend on activations; activations.tsv: name, dtype, shape and bytes of these.
"""
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

OF_ACTIVATIONS = re.compile(r".*\.(input|[qkv])_(scale|zero_point|global_scale)")

golden, model, here = Path(sys.argv[1]), sys.argv[2], Path(__file__).parent
for name in sys.argv[3:]:
    source, target = golden / model / name, here / model / name
    target.mkdir(parents=True, exist_ok=True)
    for file in ("recipe.yaml", "config.json"):
        shutil.copy(source / file, target / file)
    raw = (source / "model.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    lines = {"tensors.tsv": [], "activations.tsv": []}
    for tensor, entry in sorted(header.items()):
        start, end = entry["data_offsets"]
        data = raw[8 + length + start : 8 + length + end]
        of_activations = OF_ACTIVATIONS.fullmatch(tensor)
        value = data.hex() if of_activations else hashlib.sha256(data).hexdigest()
        shape = ",".join(str(size) for size in entry["shape"])
        lines["activations.tsv" if of_activations else "tensors.tsv"].append(f"{tensor}\t{entry['dtype']}\t{shape}\t{value}\n")
    for file, content in lines.items():
        (target / file).write_text("".join(content))
