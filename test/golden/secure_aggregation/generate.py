"""Writes quantized.json: weighted uploads as Flower's SecAgg+ quantizes them, and what it makes of their sum
(flwr 1.42.0, numpy 2.4.6): python generate.py

Random rounding takes uniform draws from a list, which is written down too."""

import json
from pathlib import Path

import numpy as np
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_combine,
    factor_extract,
    parameters_addition,
    parameters_mod,
    parameters_multiply,
)
from flwr.common.secure_aggregation.quantization import dequantize, quantize

random = np.random.default_rng(11)


def aggregate(max_weight: float, clipping_range: float, target_range: int, weights: list[int]) -> dict:
    clients = []
    total = None
    for weight in weights:
        values = random.normal(0, clipping_range / 3, 40)
        values[:6] = [0.0, -0.0, clipping_range, -clipping_range, 3 * clipping_range, 1e-12]
        values[6:9] = np.float32(values[6:9])
        draws = random.random(40)
        np.random.rand = lambda *shape: draws.reshape(shape)
        # What a client does, and after it the server.
        q_ratio = round(weight / max_weight * target_range)
        weighted = parameters_multiply([values], q_ratio / target_range)
        vector = factor_combine(q_ratio, quantize(weighted, clipping_range, target_range))
        clients.append({"weight": weight, "values": values.tolist(), "draws": draws.tolist(),
                        "factor": int(vector[0][0]), "quantized": [int(x) for x in vector[1]]})
        vector = [np.asarray(each, dtype=np.int64) for each in vector]
        total = vector if total is None else parameters_addition(total, vector)
    q_total, recon = factor_extract(parameters_mod(total, 2**32))
    (mean,) = dequantize(recon, clipping_range, target_range)
    mean = (mean - (len(weights) - 1) * clipping_range) * (target_range / q_total)
    return {"maxWeight": max_weight, "clippingRange": clipping_range, "quantizationRange": target_range,
            "clients": clients, "mean": mean.tolist()}


cases = [aggregate(1000.0, 8.0, 2**22, [1, 10, 1000]), aggregate(64.0, 0.5, 2**16, [64, 63, 1, 17]),
         aggregate(3.0, 1.25, 1000, [1, 2])]
Path(__file__).with_name("quantized.json").write_text(json.dumps(cases) + "\n")
