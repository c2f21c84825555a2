#!/usr/bin/env python3
"""Runs llm-compressor on the CPU on the tokens that Quench uses with --packing concatenate, and prints what it took.

usage: llm_compressor.py MODEL RECIPE.yaml OUT [--calibration FILE.jsonl] [--samples 64] [--sequence-length 512]
Needs: pip install llmcompressor==0.14.0.1 compressed-tensors==0.19.0 transformers==5.17.0 torch==2.14.0 accelerate datasets
Without --calibration the recipe must need no data. The clock starts after the model is loaded.
"""
import argparse
import json
import os
import resource
import time

os.environ["HF_HUB_OFFLINE"] = "1"
parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("recipe")
parser.add_argument("out")
parser.add_argument("--calibration")
parser.add_argument("--samples", type=int, default=64)
parser.add_argument("--sequence-length", type=int, default=512)
args = parser.parse_args()

import torch
from datasets import Dataset
from llmcompressor import oneshot
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(args.model)
options = {}
if args.calibration:
    length, tokens = args.sequence_length, []
    with open(args.calibration) as lines:
        for line in lines:
            tokens += tokenizer(json.loads(line)["text"])["input_ids"]
            if len(tokens) >= args.samples * length:
                break
    rows = [tokens[i : i + length] for i in range(0, args.samples * length, length)]
    options = dict(
        dataset=Dataset.from_dict({"input_ids": rows, "attention_mask": [[1] * length] * len(rows)}),
        num_calibration_samples=len(rows),
        shuffle_calibration_samples=False,
        batch_size=1,
    )
model = AutoModelForCausalLM.from_pretrained(args.model, dtype="auto")
start = time.time()
oneshot(model=model, recipe=args.recipe, **options)
model.save_pretrained(args.out, save_compressed=True)
tokenizer.save_pretrained(args.out)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"llm-compressor: {time.time() - start:.1f} s, peak {peak:.2f} GiB, {torch.get_num_threads()} threads")
