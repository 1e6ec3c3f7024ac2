"""The model of a node of PyTorch + PEFT, with federa's names for what is trained."""

import json
import re
from logging import ERROR

import numpy as np
import torch
from flwr.common.logger import log
from peft import LoraConfig, inject_adapter_in_model
from transformers import AutoModel, AutoTokenizer

from .base import fingerprint
from .start import FROM_THE_WEIGHTS, METHODS, make_start, scaling_of


class Classifier(torch.nn.Module):
    """An encoder, a vector of each text, and a linear layer on it: the model that federa trains."""

    def __init__(self, folder, config):
        super().__init__()
        self.pooling = config.get("pooling", "mean")
        self.encoder = AutoModel.from_pretrained(folder, add_pooling_layer=self.pooling == "pooler")
        self.head = torch.nn.ModuleDict({"output": torch.nn.Linear(self.encoder.config.hidden_size, len(config["labels"]))})

    def forward(self, attention_mask, **inputs):
        outputs = self.encoder(attention_mask=attention_mask, **inputs)
        states = outputs.last_hidden_state
        if self.pooling == "pooler":
            pooled = outputs.pooler_output
        elif self.pooling == "cls":
            pooled = states[:, 0]
        else:
            mask = attention_mask[..., None]
            pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return self.head["output"](pooled)


class Node:
    """What one client trains on: the base from a folder, adapters that PEFT puts on it, and the values that the server sends."""

    def __init__(self, folder, config):
        if config["method"] not in METHODS:
            raise ValueError(f"Cannot train {config['method']} with PyTorch + PEFT here: expected one of {', '.join(METHODS)}")
        self.config = config
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        # Nothing is dropped, as in federa.
        self.model = Classifier(folder, config).eval()
        self.weights = {name: value.detach().numpy() for name, value in self.model.encoder.named_parameters()}
        self.base_hash = fingerprint(self.weights)

    def own_start(self):
        """The start that follows from the weights and the seed, as the server's does."""
        return make_start(self.weights, self.config, self.model.encoder.config.hidden_size)

    @torch.no_grad()
    def adapt(self, start, corrections):
        """Puts adapters on the layers that the start names; what is frozen there is what the method leaves of the weights."""
        scaling, rank = scaling_of(self.config), self.config["rank"]
        layers = [name.removeprefix("encoder.").removesuffix(".loraA") for name in start if name.endswith(".loraA")]
        lora = LoraConfig(r=rank, lora_alpha=scaling * rank, target_modules="|".join(map(re.escape, layers)))
        inject_adapter_in_model(lora, self.model.encoder)
        for layer in layers:
            weight = self.model.encoder.get_submodule(layer).base_layer.weight
            if self.config["method"] in FROM_THE_WEIGHTS:
                a, b = (torch.from_numpy(start[f"encoder.{layer}.{factor}"].copy()) for factor in ("loraA", "loraB"))
                weight.sub_(scaling * (b @ a))
            if layer in corrections:
                weight.add_(torch.from_numpy(corrections[layer].copy()))
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_("lora_" in name or name.startswith("head."))

    def trained(self):
        """What is trained, by federa's names."""
        return {
            re.sub(r"\.lora_([AB])\.default\.weight$", r".lora\1", name): value
            for name, value in self.model.named_parameters()
            if value.requires_grad
        }

    @torch.no_grad()
    def load(self, arrays):
        named = {name for name in arrays if ".correction." not in name}
        if named != set(self.trained()):
            raise ValueError(f"Cannot use the server's arrays: expected {', '.join(sorted(named ^ set(self.trained()))[:3])} on both sides or none")
        for name, parameter in self.trained().items():
            parameter.copy_(torch.from_numpy(arrays[name].copy()))

    def values(self):
        return {name: value.detach().numpy() for name, value in self.trained().items()}

    def logits(self, texts):
        tokens = self.tokenizer(texts, truncation=True, max_length=self.config["max-length"], padding=True, return_tensors="pt")
        return self.model(**tokens)

    def optimizer(self):
        config = self.config
        options = {"lr": config["learning-rate"], "weight_decay": config.get("weight-decay", 0)}
        if config.get("optimizer", "adamw") == "sgd":
            return torch.optim.SGD(self.trained().values(), momentum=config.get("momentum", 0), **options)
        betas = (config.get("beta1", 0.9), config.get("beta2", 0.999))
        return torch.optim.AdamW(self.trained().values(), betas=betas, eps=config.get("epsilon", 1e-8), **options)

    def train(self, data, batches):
        """Takes local steps on the mean loss of each batch; returns the mean of the losses."""
        optimizer, losses = self.optimizer(), []
        for rows in batches:
            texts, labels = zip(*(data[row] for row in rows))
            loss = torch.nn.functional.cross_entropy(self.logits(list(texts)), torch.tensor(labels))
            loss.backward()
            if "clip-norm" in self.config:
                torch.nn.utils.clip_grad_norm_(self.trained().values(), self.config["clip-norm"])
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        return sum(losses) / len(losses)

    @torch.inference_mode()
    def evaluate(self, data):
        """Mean loss and accuracy."""
        texts, labels = zip(*data)
        logits = torch.cat([self.logits(list(texts[i : i + 64])) for i in range(0, len(texts), 64)])
        targets = torch.tensor(labels)
        loss = torch.nn.functional.cross_entropy(logits, targets).item()
        return {"loss": loss, "accuracy": (logits.argmax(-1) == targets).float().mean().item()}


def read_data(path, labels):
    """Texts with the index of their label, from a JSONL file with the fields `text` and `label`."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    unknown = sorted({row["label"] for row in rows} - set(labels))
    if unknown:
        # What an exception says goes to the server: what the node has stays in its own log.
        log(ERROR, "Cannot use %s: its labels %s aren't among the server's", path, ", ".join(unknown))
        raise ValueError(f"Cannot use this node's data: {len(unknown)} of its labels aren't among {', '.join(labels)}; its log says which")
    return [(row["text"], labels.index(row["label"])) for row in rows]


def sum_of_corrections(before, arrays, applied):
    """
    The corrections of frozen weights so far: those that the node has, of rounds up to `applied`, and the new ones of a download. Returns
    the sums by layer and the last round that is in them.
    """
    sums = dict(before)
    rounds = sorted({int(name.split(".")[-2]) for name in arrays if ".correction." in name})
    for number in (each for each in rounds if each > applied):
        if number != applied + 1:
            raise ValueError(f"Cannot apply the correction of round {number}: that of round {applied + 1} is missing")
        ending = f".correction.{number}.b"
        for name in (each for each in arrays if each.endswith(ending)):
            layer = name.removeprefix("encoder.").removesuffix(ending)
            update = arrays[name] @ arrays[name.removesuffix("b") + "a"]
            sums[layer] = sums[layer] + update if layer in sums else np.asarray(update)
        applied = number
    return sums, applied
