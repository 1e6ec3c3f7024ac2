"""Decodes payloads that write.ts has written with numpy and the Python library of safetensors, as a server in Python would,
and compares every bit: python check.py FOLDER"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file as load_torch


def decode(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    codec = metadata["codec"]
    if codec in ("f32", "f16", "bf16"):
        return codec, {name: value.to(torch.float32).numpy() for name, value in load_torch(path).items()}
    shapes = json.loads(metadata["shapes"])
    sizes = [int(np.prod(shape)) for _, shape in shapes]
    tensors = load_numpy(path)
    if codec == "topk":
        flat = np.zeros(sum(sizes), np.float32)
        places = tensors["indices"] if "indices" in tensors else np.flatnonzero(np.unpackbits(tensors["mask"], bitorder="little"))
        flat[places] = tensors["values"]
        codec += " by indices" if "indices" in tensors else " by mask"
    else:
        levels = tensors["levels"]
        if codec == "int4":
            nibbles = np.stack([levels & 15, levels >> 4], axis=1).reshape(-1)[: sum(sizes)].astype(np.int8)
            levels = np.where(nibbles > 7, nibbles - 16, nibbles)
        columns = np.concatenate([np.full(size // (shape or [1])[-1], (shape or [1])[-1]) for (_, shape), size in zip(shapes, sizes)])
        scales = np.repeat(tensors["scales"].astype(np.float64), columns)
        flat = (levels * scales / {"int8": 127, "int4": 7}[codec]).astype(np.float32)
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return codec, {name: part.reshape(shape) for (name, shape), part in zip(shapes, parts)}


folder = Path(sys.argv[1])
paths = sorted(path for path in folder.glob("*.safetensors") if "decoded" not in path.name)
assert len(paths) == 7, f"expected 7 payloads in {folder}, got {len(paths)}"
for path in paths:
    expected = load_numpy(path.with_suffix(".decoded.safetensors"))
    codec, found = decode(path)
    assert found.keys() == expected.keys(), (codec, found.keys())
    for name, value in expected.items():
        assert found[name].shape == value.shape, (codec, name)
        assert (np.atleast_1d(found[name]).view(np.uint32) == np.atleast_1d(value).view(np.uint32)).all(), (codec, name)
    print(f"{codec}: {len(found)} tensors in {path.stat().st_size} bytes, equal to the bit")
