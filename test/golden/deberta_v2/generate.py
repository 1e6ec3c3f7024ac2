"""Writes buckets.json beside this script: the log buckets that transformers gives the distances 0, 1, … below `furthest`.

    pip install torch==2.15.0 transformers==5.24.0 && python generate.py
"""

import json
from pathlib import Path

import torch
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

# The first is that of the published checkpoints.
SIZES = [(256, 512), (32, 128), (64, 1000), (7, 50), (6, 14), (4, 24), (2, 9)]

cases = []
for buckets, furthest in SIZES:
    distances = torch.arange(furthest)
    found = make_log_bucket_position(distances, buckets, furthest).long()
    assert (make_log_bucket_position(-distances, buckets, furthest).long() == -found).all()
    cases.append({"buckets": buckets, "furthest": furthest, "expected": found.tolist()})
(Path(__file__).parent / "buckets.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
