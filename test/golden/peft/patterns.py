"""Writes patterns.json: which names Python's `re` says that patterns match, and which layers PEFT says that configurations adapt.

Run in this folder with the packages of requirements.txt.
"""

import json
import random
import re
import warnings
from types import SimpleNamespace

from peft.tuners.tuners_utils import _ExcludedModule, check_target_module_exists

warnings.simplefilter("ignore")
random.seed(1)

NAMES = ["", "a", "b", "ab", "a.b", "layer.1.a", "aab", "x.layer", "_", "1", "a-b", "-", "a b", ".", "}", "]", "&", "b.a.b"]
ATOMS = r"a b . _ - \. \d \w \s \D [ab] [^a] [a-c1] [\d_] [^\w.] [-a] [a&&b] [a--b] \- \_ \b ^ $ \A \Z layer } ]".split()
REPEATS = ["", "", "", "", "*", "+", "?", "{2}", "{1,2}", "{,2}", "{1,}", "{,}", "*?", "+?", "??", "{3,1}", "++", "**", "{}", "{"]


def pattern(depth: int) -> str:
    text = ""
    for _ in range(random.randint(1, 4)):
        if depth > 0 and random.random() < 0.3:
            text += random.choice(["(", "(", "(?:", "(?P<n>", "(?=", "(?i)"]) + pattern(depth - 1) + ")"
        else:
            text += random.choice(ATOMS)
        text += random.choice(REPEATS)
    if depth > 0 and random.random() < 0.3:
        text += "|" + pattern(depth - 1)
    return text


def matches(text: str):
    """Which names match in whole, and which end in a match as keys of rank_pattern do; None where Python refuses the pattern."""
    try:
        return [
            [i for i, name in enumerate(NAMES) if re.fullmatch(text, name)],
            [i for i, name in enumerate(NAMES) if re.match(rf"(.*\.)?({text})$", name)],
        ]
    except re.error:
        return None


LAYERS = [
    "bert.encoder.layer.0.attention.self.query",
    "bert.encoder.layer.1.attention.self.query",
    "bert.encoder.layer.1.attention.self.value",
    "bert.encoder.layer.10.attention.output.dense",
    "bert.encoder.layer.2.experts.0.dense",
    "bert.pooler.dense",
    "classifier",
    "classifier.dense",
    "layer.0.query",
    "query",
]
NOTHING = dict(
    target_modules=None,
    exclude_modules=None,
    modules_to_save=None,
    layers_to_transform=None,
    layers_pattern=None,
    target_parameters=None,
)
TARGETS = [
    dict(target_modules=["query", "dense"]),
    dict(target_modules=["query", "self.value", "uery", "classifier"]),
    dict(target_modules=["query", "dense"], modules_to_save=["classifier", "pooler"]),
    dict(target_modules=["query", "dense"], exclude_modules=["pooler.dense", "layer.0.query"]),
    dict(target_modules=["query", "dense"], exclude_modules=r".*\.layer\.\d\..*"),
    dict(target_modules=["query", "dense"], layers_to_transform=1),
    dict(target_modules=["query", "dense"], layers_to_transform=[0, 10]),
    dict(target_modules=["query", "dense"], layers_to_transform=[]),
    dict(target_modules=["query", "dense"], layers_to_transform=[0], layers_pattern="layer"),
    dict(target_modules=["query", "dense"], layers_to_transform=[0], layers_pattern=["experts", "layer"]),
    dict(target_modules=["query", "dense"], layers_to_transform=[0, 2], layers_pattern="encoder.l[a-z]*"),
    dict(target_modules=r".*\.(0|1)\.attention\.self\.(key|query)"),
    dict(target_modules=r"^bert\.encoder\.layer\.\d+\..*(query|dense)$"),
    dict(target_modules="query"),
]


def targets(fields: dict):
    config = SimpleNamespace(**{**NOTHING, **fields})
    found = [check_target_module_exists(config, name) for name in LAYERS]
    return [i for i, each in enumerate(found) if each and not isinstance(each, _ExcludedModule)]


texts = sorted({pattern(2) for _ in range(600)})
written = {
    "names": NAMES,
    "patterns": [[text, matches(text)] for text in texts],
    "layers": LAYERS,
    "targets": [[fields, targets(fields)] for fields in TARGETS],
}
with open("patterns.json", "w") as file:
    file.write(json.dumps(written, separators=(",", ":")).replace('],["', '],\n["') + "\n")
