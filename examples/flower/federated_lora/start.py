"""Where the adapter starts: FeDeRA's or LoRA's factors, made from the weights with NumPy."""

import numpy as np

from .base import digest, layers_of

METHODS = ("fedit", "fedex-lora", "federa", "federa-exact")
"""The methods whose start the server or a node of PyTorch can make."""

FROM_THE_WEIGHTS = ("federa", "federa-exact")
"""Those that train a part of the pretrained weights and freeze the rest."""


def make_start(weights, config, hidden_size):
    """
    The starting values by federa's names, float32. With the SVD W = U·S·Vᵀ, FeDeRA starts at B = U_r·√(S_r/s) and A = √(S_r/s)·V_rᵀ
    (arXiv 2404.18848); LoRA at a random A and B = 0. The head is drawn by the seed.
    """
    method, rank, seed = config["method"], config["rank"], config["seed"]
    if method not in METHODS:
        raise ValueError(f'Cannot make the start of {method} here: expected one of {", ".join(METHODS)}; or say start-by = "nodes"')
    random = np.random.default_rng(seed)
    start = {}
    for layer in layers_of(weights, config.get("targets", [])):
        weight = weights[f"{layer}.weight"]
        a, b = factors(weight, rank, scaling_of(config)) if method in FROM_THE_WEIGHTS else lora(weight, rank, random)
        start[f"encoder.{layer}.loraA"], start[f"encoder.{layer}.loraB"] = a, b
    size = len(config["labels"])
    start["head.output.weight"] = random.normal(0, 0.02, (size, hidden_size)).astype(np.float32)
    start["head.output.bias"] = np.zeros(size, np.float32)
    return start


def scaling_of(config):
    """s, by which the update B·A is scaled."""
    rank, alpha = config["rank"], config["alpha"]
    return alpha / rank**0.5 if config.get("scaling") == "rslora" else alpha / rank


def factors(weight, rank, scaling):
    u, s, vt = np.linalg.svd(weight.astype(np.float64), full_matrices=False)
    root = np.sqrt(s[:rank] / scaling)
    return (root[:, None] * vt[:rank]).astype(np.float32), (u[:, :rank] * root).astype(np.float32)


def lora(weight, rank, random):
    out, width = weight.shape
    bound = width**-0.5
    return random.uniform(-bound, bound, (rank, width)).astype(np.float32), np.zeros((out, rank), np.float32)


def start_hash(start):
    """SHA-256 of the starting values: equal where all nodes start from the same bits."""
    return digest(start)
