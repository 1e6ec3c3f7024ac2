"""What the Python peers share: a job's model and batches, one client's training, predictions and the evaluation."""

import json
from functools import cache, cached_property

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

PREDICTED_AT_ONCE = 64

logging.disable_progress_bar()


class Job:
    """A job as prepare_job.ts wrote it: base, adapter, texts, and the batches of each round's clients."""

    def __init__(self, path):
        self.__dict__.update(json.load(open(path)))

    @cached_property
    def tokenizer(self):
        return AutoTokenizer.from_pretrained(self.base)

    @cached_property
    def train_tokens(self):
        return self.tokens_of(self.train["texts"])

    @cached_property
    def test_tokens(self):
        return self.tokens_of(self.test["texts"])

    def tokens_of(self, texts):
        encoded = self.tokenizer(texts, truncation=True, max_length=self.maxLength)
        return [dict(zip(encoded, row)) for row in zip(*encoded.values())]

    def pad(self, rows):
        """A batch, padded to its own longest text."""
        return self.tokenizer.pad({key: [row[key] for row in rows] for key in rows[0]}, return_tensors="pt")


@cache
def open_job(path):
    return Job(path)


def open_model(job, is_trainable=True):
    """The base under the adapter that federa also starts from."""
    base = AutoModelForSequenceClassification.from_pretrained(job.base, num_labels=job.numLabels)
    model = PeftModel.from_pretrained(base, job.adapter, is_trainable=is_trainable)
    return model.eval()  # Nothing is dropped, as in federa.


def trainable(model):
    """What a client trains, uploads and downloads, by name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def train_client(model, job, batches):
    """Takes a client's local steps; returns what was done."""
    work = {"steps": 0, "texts": 0, "tokens": 0}
    optimizer = torch.optim.AdamW(trainable(model).values(), lr=job.learningRate, weight_decay=0, fused=True)
    for rows in batches:
        inputs = job.pad([job.train_tokens[row] for row in rows])
        labels = torch.tensor([job.train["labels"][row] for row in rows])
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        work["steps"] += 1
        work["texts"] += len(rows)
        work["tokens"] += int(inputs["attention_mask"].sum())
    return work


@torch.inference_mode()
def predict(model, job, tokens):
    """The logits of texts in their order; they are sorted by length, so that little is padding."""
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]["input_ids"]))
    logits = torch.empty(len(tokens), job.numLabels)
    for start in range(0, len(order), PREDICTED_AT_ONCE):
        rows = order[start : start + PREDICTED_AT_ONCE]
        logits[rows] = model(**job.pad([tokens[row] for row in rows])).logits
    return logits


def evaluate(model, job):
    """Mean loss and accuracy on the test set."""
    labels = torch.tensor(job.test["labels"])
    logits = predict(model, job, job.test_tokens)
    loss = torch.nn.functional.cross_entropy(logits, labels).item()
    return {"loss": loss, "accuracy": (logits.argmax(-1) == labels).float().mean().item()}
