"""Writes Parquet files with labels of many types, by pandas, and with classes, by datasets: python generate_labels.py

Requirements: datasets, pandas, pyarrow
"""

from pathlib import Path

import pandas as pd
from datasets import ClassLabel, Dataset, Features, List, Value

FOLDER = Path(__file__).parent

pd.DataFrame({
    "text": list("abcd"),
    "lab": pd.Categorical(["x", "y", "x", "y"]),
    "f": [0.0, 1.0, float("nan"), 1.0],
    "b": pd.array([True, False, None, True], dtype="boolean"),
    "i": pd.array([0, 1, -1, 2], dtype="int8"),
    "id": [1234567890123456789, 1234567890123456790, -1, 2**63 - 1],
}).to_parquet(FOLDER / "label_types.parquet", compression="zstd")

names = [f"c{number:02}" for number in range(12, 0, -1)]
tags = ClassLabel(names=["O", "B-Z", "B-A"])
features = Features({
    "text": Value("string"),
    "label": ClassLabel(names=names),
    "tokens": List(Value("string")),
    "ner": List(tags),
})
Dataset.from_dict({
    "text": list("abcde"),
    "label": ["c12", "c03", "c10", "c02", -1],
    "tokens": [["w"]] * 5,
    "ner": [[0], [1], [2], [0], [0]],
}, features=features).to_parquet(FOLDER / "class_label.parquet")
