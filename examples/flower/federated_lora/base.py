"""The base model's weights on the server, without PyTorch: their fingerprint, and the layers that get adapters."""

import hashlib
import json
import os
import re

import numpy as np

from .safetensors_file import load_floats

SAMPLED_ROWS = 64
NOT_PARAMETERS = ("position_ids", "token_type_ids")


def read_base(folder, pooler):
    """The weights of an encoder's folder by name, without the prefix that checkpoints of task models have, in the model's order."""
    tensors = load_floats(os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json")) as file:
        prefix = json.load(file).get("model_type", "bert") + "."
    if any(name.startswith(prefix) for name in tensors):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return {
        name: value
        for name, value in tensors.items()
        if not name.endswith(NOT_PARAMETERS) and (pooler or not name.startswith("pooler."))
    }


def fingerprint(weights):
    """
    SHA-256 of names, shapes, all values of vectors and 64 evenly spaced rows of each matrix, by the order of the names: which base it
    is.
    """
    return digest({name: sample(value) for name, value in weights.items()}, {name: np.shape(value) for name, value in weights.items()})


def digest(values, shapes=None):
    """SHA-256 of arrays with their names and shapes, by the order of the names."""
    lines = []
    for name in sorted(values):
        value = np.ascontiguousarray(values[name], "<f4")
        shape = (shapes or {}).get(name, value.shape)
        lines.append(f"{name} {list(shape)} {hashlib.sha256(value.tobytes()).hexdigest()}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sample(value):
    """A vector, or 64 evenly spaced rows of a matrix."""
    rows = len(value)
    if np.ndim(value) != 2 or rows <= SAMPLED_ROWS:
        return value
    return value[[i * (rows - 1) // (SAMPLED_ROWS - 1) for i in range(SAMPLED_ROWS)]]


def layers_of(weights, targets):
    """
    Names of the layers that patterns match, as federa has them: `*` is one part of a name or a piece of it, `**` any number of parts. By
    default every linear layer of the encoder's layers.
    """
    patterns = [pattern_of(target) for target in targets or ["**.layer.**"]]
    names = [name.removesuffix(".weight") for name, value in weights.items() if np.ndim(value) == 2 and "embeddings" not in name]
    found = [name for name in names if any(pattern.fullmatch(f"encoder.{name}") for pattern in patterns)]
    if not found:
        raise ValueError(f"Cannot find a layer for {', '.join(targets)}: the linear layers are {', '.join(names)}")
    return found


def pattern_of(target):
    parts = {"**.": r"(?:.*\.)?", "**": ".*", "*": r"[^.]*"}
    return re.compile("".join(parts.get(piece, re.escape(piece)) for piece in re.findall(r"\*\*\.|\*\*|\*|.", target)))
