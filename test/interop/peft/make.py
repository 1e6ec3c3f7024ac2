"""Writes models, adapters and outputs for exchange.ts into a folder: python make.py FOLDER"""

import sys
from pathlib import Path

import torch
import transformers
from models import common, families, mask, outputs_of, pad, tasks
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

folder = Path(sys.argv[1])
kinds = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "pissa": {"init_lora_weights": "pissa"},
    "pissa_converted": {"init_lora_weights": "pissa"},
}


def draw(model, seed):
    """Numbers of order 1, matrices so that they keep a vector's length."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 2 and "embeddings." not in name:
            noise /= parameter.shape[1] ** 0.5
        elif parameter.ndim == 1:
            noise = 0.2 * noise + (1.0 if name.endswith("orm.weight") else 0.0)
        parameter.data = noise
    return model.eval()


def train(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)


def write_tokenizer(target):
    words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(target)


for family, (config_class, sizes, targets, head) in families.items():
    for task, (suffix, auto) in tasks.items():
        config = config_class(**{**common, **sizes, **({"num_labels": 2} if task == "QUESTION_ANS" else {})})
        place = folder / (family + suffix)
        draw(getattr(transformers, family + suffix)(config), 1).save_pretrained(place / "base")
        write_tokenizer(place / "base")
        base = lambda: auto.from_pretrained(place / "base")
        outputs = {"ids": pad(config), "mask": mask, "base": outputs_of(base())}
        modules = head if task == "SEQ_CLS" else None
        for seed, (kind, options) in enumerate(kinds.items()):
            adapter = place / "adapters" / kind
            # A conversion of PiSSA leaves modules_to_save out, which PEFT then can't load: none here.
            named = {} if kind == "pissa_converted" else {"task_type": task, "modules_to_save": modules and [*modules]}
            torch.manual_seed(seed)
            model = get_peft_model(base(), LoraConfig(r=3, lora_alpha=7, target_modules=targets, **named, **options))
            if kind == "pissa_converted":
                model.save_pretrained(place / "start")
                train(model, seed)
                model.save_pretrained(adapter, path_initial_model_for_weight_conversion=str(place / "start"))
            else:
                train(model, seed)
                model.save_pretrained(adapter)
            outputs[kind] = outputs_of(PeftModel.from_pretrained(base(), adapter))
        save_file(outputs, place / "outputs.safetensors")
        print(f"{family}{suffix}: base and {', '.join(kinds)}")
