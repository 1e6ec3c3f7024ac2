"""Loads what exchange.ts wrote by PEFT and transformers, and prints how far the outputs are: python check.py FOLDER"""

import sys
from pathlib import Path

import transformers
from models import families, outputs_of, read, tasks
from peft import PeftConfig, PeftModel

folder = Path(sys.argv[1])
limit = 1e-4
failed = False


def report(name, what, found, expected):
    global failed
    worst = (found - expected).abs().max().item()
    failed |= not worst <= limit
    print(f"{name:36} {what:22} {worst:.1e}")


for family in families:
    for suffix, auto in tasks.values():
        name = family + suffix
        ours = folder / name / "ours"
        if not ours.exists():
            continue
        for kind, expected in sorted(read(ours / "outputs.safetensors").items()):
            for form in ("original", "converted"):
                place = ours / kind / form
                if not place.exists():
                    continue
                base = PeftConfig.from_pretrained(place).base_model_name_or_path
                model = PeftModel.from_pretrained(auto.from_pretrained(base), place)
                report(name, f"our {kind}, {form}", outputs_of(model), expected)
                report(name, "  unloaded by PEFT", outputs_of(model.merge_and_unload()), expected)
            merged = auto.from_pretrained(ours / kind / "merged")
            assert type(merged).__name__ == name, type(merged)
            report(name, f"our {kind}, merged", outputs_of(merged), expected)
            labels = list(merged.config.id2label.values())
            assert len(labels) == expected.shape[-1] and not labels[0].startswith("LABEL"), labels
            tokenizer = transformers.AutoTokenizer.from_pretrained(ours / kind / "merged")
            assert tokenizer("a c")["input_ids"] == [4, 6], tokenizer("a c")
sys.exit(failed)
