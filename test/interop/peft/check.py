"""Loads what exchange.ts wrote by PEFT and transformers, and prints how far the outputs are: python check.py FOLDER"""

import sys
from pathlib import Path

import transformers
from models import families, outputs_of, read, tasks
from peft import PeftConfig, PeftModel

folder = Path(sys.argv[1])
limit = 1e-4
failed = False


def distance(found, expected):
    global failed
    worst = (found - expected).abs().max().item()
    failed |= not worst <= limit
    return f"{worst:.1e}"


for family in families:
    for suffix, auto in tasks.values():
        name = family + suffix
        ours = folder / name / "ours"
        if not ours.exists():
            continue
        base = read(folder / name / "outputs.safetensors")["base"]
        print(name)
        for kind, expected in sorted(read(ours / "outputs.safetensors").items()):
            assert (expected - base).abs().max() > 0.1
            found = {}
            for form in ("original", "converted"):
                place = ours / kind / form
                if not place.exists():
                    continue
                path = PeftConfig.from_pretrained(place).base_model_name_or_path
                model = PeftModel.from_pretrained(auto.from_pretrained(path), place)
                found[form] = distance(outputs_of(model), expected)
                found[f"{form}, unloaded"] = distance(outputs_of(model.merge_and_unload()), expected)
            merged = auto.from_pretrained(ours / kind / "merged")
            assert type(merged).__name__ == name, type(merged)
            found["merged"] = distance(outputs_of(merged), expected)
            labels = list(merged.config.id2label.values())
            assert len(labels) == expected.shape[-1] and not labels[0].startswith("LABEL"), labels
            tokenizer = transformers.AutoTokenizer.from_pretrained(ours / kind / "merged")
            assert tokenizer("a c")["input_ids"] == [4, 6], tokenizer("a c")
            print(f"  our {kind}:", "; ".join(f"{form} {worst}" for form, worst in found.items()))
print("failed" if failed else f"every difference is at most {limit}")
sys.exit(failed)
