"""Weights that a case leaves out, drawn from its config.json; tokenizers; the right answers."""

import json
import shutil
import zlib
from pathlib import Path

import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file, save_file

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def rebuild(case, vocabulary):
    """Gives every model of a case its weights and tokenizer."""
    for path in sorted(case.rglob("config.json")):
        folder = path.parent
        config = json.loads(path.read_text())
        if not (folder / "model.safetensors").exists():
            draw_weights(folder, config, zlib.crc32(folder.relative_to(case.parent).as_posix().encode()))
        if not (folder / "vocab.txt").exists() and not (folder / "tokenizer.json").exists():
            for name in ("vocab.txt", "tokenizer.json"):
                shutil.copy(vocabulary / name, folder / name)
    if case.name == "tok_generic_class_lower":
        change_tokenizer(case / "model", lambda tokenizer: tokenizer["normalizer"].update(lowercase=False))


def draw_weights(folder, config, seed):
    torch.manual_seed(seed)
    kept = (folder / "config.json").read_bytes()
    # The classes of a name given twice are as many as the numbers.
    for_drawing = {**config, "label2id": {str(name): int(i) for i, name in config.get("id2label", {}).items()}}
    if "id2label" in config:
        for_drawing["id2label"] = {i: f"L{i}" for i in config["id2label"]}
        for_drawing["label2id"] = {f"L{i}": int(i) for i in config["id2label"]}
    config_class = transformers.AutoConfig.for_model(config["model_type"]).__class__
    model = getattr(transformers, config["architectures"][0])(config_class.from_dict(for_drawing))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim == 2 and "embedding" not in name:
                # Wide enough that answers differ.
                value.normal_(std=0.3 if "classifier" in name or "pooler" in name else 0.15)
    model.save_pretrained(folder)
    (folder / "config.json").write_bytes(kept)
    if folder.parent.name == "ckpt_no_pooler":
        tensors = load_file(folder / "model.safetensors")
        save_file(
            {name: value for name, value in tensors.items() if "pooler" not in name},
            folder / "model.safetensors",
            {"format": "pt"},
        )


def change_tokenizer(folder, change):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    change(tokenizer)
    path.write_text(json.dumps(tokenizer))


def outputs_of(folder, texts, *, adapter=None, base=None, max_length=512, **options):
    """Logits of a whole model, or of an adapter on a base."""
    source = base or folder
    model = transformers.AutoModelForSequenceClassification.from_pretrained(source, **options)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    model.eval()
    with torch.no_grad():
        return torch.cat([
            model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=max_length)).logits
            for text in texts
        ])


def copy(cases, work):
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(cases, work, ignore=shutil.ignore_patterns("output.txt", "runs"))
    for path in [work, *work.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    base = work / "_base_bert"
    base.mkdir()
    shutil.copy(work / "peft_base_path_gone/base/config.json", base)
    return Path(work)
