"""Loads what export.ts wrote and compares outputs: python check.py FOLDER"""

import json
import sys
import warnings
from pathlib import Path

import numpy
import transformers
from sentence_transformers import SentenceTransformer

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

LIMIT = 1e-5
failed = False
for place in sorted(Path(sys.argv[1]).iterdir()):
    expected = json.loads((place / "ours" / "outputs.json").read_text())
    found = []
    for kind in ("merged", "original", "converted"):
        outputs = SentenceTransformer(str(place / "ours" / kind), device="cpu").encode(expected["texts"])
        worst = numpy.abs(outputs.flatten() - numpy.array(expected["outputs"])).max()
        failed |= not worst <= LIMIT
        found.append(f"{kind} {worst:.1e}")
    print(f"{place.name}: {'; '.join(found)}")
print("failed" if failed else f"every difference is at most {LIMIT}")
sys.exit(failed)
