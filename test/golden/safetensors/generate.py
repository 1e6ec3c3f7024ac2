"""Writes reference.safetensors with the Python library (safetensors 0.8.0, numpy 2.4.6): python generate.py"""

from pathlib import Path

import numpy as np
from safetensors import TensorSpec, serialize

bfloat16 = np.array([0x3F80, 0xC000, 0x0001, 0x7F80], dtype=np.uint16)  # 1, -2, 2^-133, infinity
float16 = np.array([1, -2, 65504, 2.0**-24, -np.inf], dtype=np.float16)
arrays = {
    "10": np.array([0, 2**64 - 1], dtype=np.uint64),
    "9": np.array(-(2**63), dtype=np.int64),
    "weight": np.array([[1, -0.0, 1e-45], [3.25, -1e38, np.inf]], dtype=np.float32),
    "bias.ü": np.array([0.1, -5e-324], dtype=np.float64),
    "half": float16,
    "ids": np.array([-(2**31), 2**31 - 1], dtype=np.int32),
    "counts": np.array([2**32 - 1], dtype=np.uint32),
    "short": np.array([[-(2**15)], [2**15 - 1]], dtype=np.int16),
    "ushort": np.array([2**16 - 1], dtype=np.uint16),
    "byte": np.array([-128, 127, 5], dtype=np.int8),
    "ubyte": np.array([0, 255], dtype=np.uint8),
    "mask": np.array([True, False, True]),
    "empty": np.zeros((0, 4), dtype=np.float32),
}
specs = {
    name: TensorSpec(dtype=a.dtype.name, shape=a.shape, data_ptr=a.ctypes.data, data_len=a.nbytes)
    for name, a in arrays.items()
}
specs["brain"] = TensorSpec(
    dtype="bfloat16", shape=bfloat16.shape, data_ptr=bfloat16.ctypes.data, data_len=bfloat16.nbytes
)
Path(__file__).with_name("reference.safetensors").write_bytes(bytes(serialize(specs, metadata={"format": 'p"t\n'})))
