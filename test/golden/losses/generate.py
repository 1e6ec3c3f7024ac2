"""Writes a small BERT for each kind of task (a folder each), rows of tokens with unequal numbers of targets, and what torch
makes of them in float64 (reference.json): pip install -r requirements.txt; python generate.py

Losses are those that transformers' models compute from labels (CrossEntropyLoss with ignore_index, BCEWithLogitsLoss,
MSELoss); a client is a loop of SGD steps over its batches, the server averages by numbers of examples."""

import copy
import json
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification

here = Path(__file__).parent
torch.manual_seed(25)
torch.set_num_threads(1)

ROWS, LENGTH, LABELS, RATE = 7, 6, 3, 0.2
# Batches of each client, by row; the two have unequal numbers of rows, batches and targets.
PLANS = [[[0, 1, 2], [3]], [[4, 5], [6], [5, 6]]]
CLIENTS = [[0, 1, 2, 3], [4, 5, 6]]

lengths = [6, 2, 5, 3, 6, 4, 1]
mask = torch.tensor([[1 if t < n else 0 for t in range(LENGTH)] for n in lengths])
ids = torch.randint(1, 20, (ROWS, LENGTH)) * mask
tags = torch.randint(0, LABELS, (ROWS, LENGTH))
# Row 0 has one target that counts and row 4 five, row 6 none, as a row does whose words are all cut off.
counted = torch.tensor([1, 2, 3, 3, 5, 2, 0])
tags[torch.arange(LENGTH)[None, :] >= counted[:, None]] = -100

KINDS = {
    "token-classification": (BertForTokenClassification, None, tags),
    "sequence-classification": (BertForSequenceClassification, "single_label_classification", torch.randint(0, LABELS, (ROWS,))),
    "multi-label-classification": (
        BertForSequenceClassification, "multi_label_classification", torch.randint(0, 2, (ROWS, LABELS)).double(),
    ),
    "regression": (BertForSequenceClassification, "regression", torch.randn(ROWS, LABELS).double()),
}


def loss_of(model, rows, labels):
    return model(input_ids=ids[rows], attention_mask=mask[rows], labels=labels[rows]).loss


def train(model, batches, labels):
    """The model that a client makes of one, and the mean of its steps' losses."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    losses = []
    for batch in batches:
        loss = loss_of(model, batch, labels)
        if not torch.isnan(loss):  # The mean over no target at all.
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(0.0 if torch.isnan(loss) else loss.item())
    return model, sum(losses) / len(losses)


def average(models, shares):
    mean = copy.deepcopy(models[0])
    with torch.no_grad():
        for name, value in mean.named_parameters():
            value.copy_(sum(share * dict(m.named_parameters())[name] for m, share in zip(models, shares)))
    return mean


def evaluate(model, labels):
    with torch.no_grad():
        return loss_of(model, list(range(ROWS)), labels).item()


def federate(model, plans, labels):
    """Loss and mean training loss of each client, then of their average."""
    trained = [train(model, batches, labels) for batches in plans]
    shares = [len(rows) / ROWS for rows in CLIENTS]
    return {
        "trainLosses": [loss for _, loss in trained],
        "losses": [evaluate(client, labels) for client, _ in trained],
        "trainLoss": sum(share * loss for share, (_, loss) in zip(shares, trained)),
        "averageLoss": evaluate(average([client for client, _ in trained], shares), labels),
    }


reference = {"rate": RATE, "plans": PLANS, "clients": CLIENTS, "ids": ids.tolist(), "mask": mask.tolist(), "tasks": {}}
for kind, (cls, problem_type, labels) in KINDS.items():
    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12, initializer_range=0.5,
        max_position_embeddings=8, num_labels=LABELS, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )
    if problem_type is not None:
        config.problem_type = problem_type
    model = cls(config)
    model.save_pretrained(here / kind)
    model = model.double().train()
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    reference["tasks"][kind] = {
        "targets": labels.tolist(),
        "logits": logits.flatten().tolist(),
        "loss": evaluate(model, labels),
        "local": federate(model, PLANS, labels),
        # One step of each client on all of its rows.
        "round": federate(model, [[rows] for rows in CLIENTS], labels),
    }
(here / "reference.json").write_text(json.dumps(reference))
for kind, values in reference["tasks"].items():
    print(kind, values["loss"], values["local"], values["round"])
