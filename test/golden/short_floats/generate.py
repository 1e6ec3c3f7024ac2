"""Writes rounded.json: float32 numbers and what numpy makes of them in float16 and torch in bfloat16, all as bits
(numpy 2.4.6, torch 2.15.0): python generate.py

The numbers lie evenly over the bits, around the middles between neighbours, and around powers of two. Those that numpy
rounds to infinity are left out of float16's list by null: a payload holds the largest finite number instead."""

import json
from pathlib import Path

import numpy as np
import torch

random = np.random.default_rng(9)
any_bits = random.integers(0, 2**32, 300, dtype=np.uint32)
exponents = random.integers(96, 145, 300, dtype=np.uint32) << 23
middles = exponents | (random.integers(0, 2**10, 300, dtype=np.uint32) << 13) | 0x1000
brain_middles = exponents | (random.integers(0, 2**7, 300, dtype=np.uint32) << 16) | 0x8000
powers = np.arange(1, 255, dtype=np.uint32) << 23
edges = np.array([0, 0x80000000, 1, 0x807FFFFF, 0x477FEFFF, 0xC77FEFFF, 0x7F7F7FFF], dtype=np.uint32)
near = [middles - 1, middles, middles + 1, brain_middles - 1, brain_middles, brain_middles + 1, powers - 1, powers, powers + 1]
bits = np.concatenate([any_bits, *near, edges]).astype(np.uint32)
bits = bits[np.isfinite(bits.view(np.float32))]

values = bits.view(np.float32)
with np.errstate(over="ignore"):
    halves = values.astype(np.float16)
brains = torch.from_numpy(values.copy()).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
f16 = [int(b) if np.isfinite(h) else None for h, b in zip(halves, halves.view(np.uint16))]
bf16 = [int(b) if b & 0x7F80 != 0x7F80 else None for b in brains]
Path(__file__).with_name("rounded.json").write_text(json.dumps({"bits": bits.tolist(), "f16": f16, "bf16": bf16}) + "\n")
