"""Writes reference.json with scikit-learn, SciPy, seqeval and torchmetrics: pip install -r requirements.txt; python generate.py"""

import json
import random
from pathlib import Path

from scipy.stats import pearsonr, spearmanr
from seqeval.metrics import f1_score as entity_f1
from seqeval.metrics import precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef
from torchmetrics.functional.text.squad import (
    _compute_exact_match_score,
    _compute_f1_score,
    _normalize_text,
)

draw = random.Random(4)


def classes():
    for size, kinds in [(1, 1), (7, 2), (40, 3), (50, 2), (60, 12)]:
        labels = [draw.randrange(kinds) for _ in range(size)]
        predictions = [y if draw.random() < 0.5 else draw.randrange(kinds) for y in labels]
        yield {
            "labels": labels,
            "predictions": predictions,
            "accuracy": accuracy_score(labels, predictions),
            "macroF1": f1_score(labels, predictions, average="macro", zero_division=0),
            "weightedF1": f1_score(labels, predictions, average="weighted", zero_division=0),
            "matthews": matthews_corrcoef(labels, predictions),
        }


def label_sets():
    for size, kinds in [(1, 2), (12, 3), (30, 7)]:
        labels = [[int(draw.random() < 0.3) for _ in range(kinds)] for _ in range(size)]
        predictions = [[y if draw.random() < 0.8 else 1 - y for y in row] for row in labels]
        yield {
            "labels": labels,
            "predictions": predictions,
            "microF1": f1_score(labels, predictions, average="micro", zero_division=0),
            "macroF1": f1_score(labels, predictions, average="macro", zero_division=0),
            "exactMatch": accuracy_score(labels, predictions),
        }


def numbers():
    scales = [(2, 1, 0), (9, 1, 0), (30, 1e-3, 1), (30, 1e200, -1e201), (50, 0, 0)]
    for size, scale, shift in scales:
        # Scale 0: a few values with many ties.
        value = lambda: draw.gauss(0, 1) * scale + shift if scale else float(draw.randrange(5))
        values = [value() for _ in range(size)]
        predictions = [0.3 * x + value() for x in values]
        yield {
            "values": values,
            "predictions": predictions,
            "pearson": float(pearsonr(values, predictions).statistic),
            "spearman": float(spearmanr(values, predictions).statistic),
        }


def tags():
    plain = ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    every = plain + ["E-PER", "S-PER", "E-LOC", "S-LOC", "B", "I", "S", "B-a-b", "I-a-b", "X-PER", "NOUN", ".", "O-PER"]
    for vocabulary, texts, length in [(plain, 1, 1), (plain, 20, 12), (every, 40, 15)]:
        given = [[draw.choice(vocabulary) for _ in range(1 + draw.randrange(length))] for _ in range(texts)]
        told = [[y if draw.random() < 0.7 else draw.choice(vocabulary) for y in row] for row in given]
        yield {
            "tags": given,
            "predictions": told,
            "entities": [[[kind, start, end + 1] for kind, start, end in get_entities(row)] for row in given],
            "precision": float(precision_score(given, told, zero_division=0)),
            "recall": float(recall_score(given, told, zero_division=0)),
            "f1": float(entity_f1(given, told, zero_division=0)),
        }


def answers():
    pairs = [
        ("", ""),
        ("the", ""),
        ("The Eiffel Tower!", "eiffel tower"),
        ("an apple a day", "apple day"),
        ("in the U.S.A.", "in USA"),
        ("theory of an-other", "the ory"),
        ("caf\u00e9 \u00e0 la", "a caf\u00e9"),
        ("\u00e4a the\u0301 a_b _a_", "the a"),
        ("one\u00a0two\u3000three\x1cfour\ufefffive\x85six", "one two three four five six"),
        ("\u0130stanbul \u03a3\u03a3", "i\u0307stanbul \u03c3\u03c2"),
        ("\u201cquoted\u201d \u2014 dash", "quoted dash"),
        ("red red blue", "red blue blue"),
        ("\U0001f600 a smile", "smile \U0001f600"),
        ("\u5317\u4eac a \u5e02", "\u5317\u4eac"),
        ("1\u00b2a a\u00bd", "a"),
        ("$5,000.50", "5000.50"),
    ]
    words = ["a", "The", "an", "cat", "Cat's", "dog", "-", "co-op", "n't", "?"]
    sentence = lambda: " ".join(draw.choice(words) for _ in range(draw.randrange(6)))
    pairs += [(sentence(), sentence()) for _ in range(40)]
    for given, right in pairs:
        yield {
            "answer": given,
            "right": right,
            "normalized": _normalize_text(given),
            "exactMatch": int(_compute_exact_match_score(given, right)),
            "f1": float(_compute_f1_score(given, right)),
        }


reference = {
    "classes": list(classes()),
    "labelSets": list(label_sets()),
    "numbers": list(numbers()),
    "tags": list(tags()),
    "answers": list(answers()),
}
path = Path(__file__).with_name("reference.json")
path.write_text(json.dumps(reference, indent=None, separators=(",", ":")) + "\n")
