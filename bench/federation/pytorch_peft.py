"""A federated job in bare PyTorch and PEFT: python pytorch_peft.py JOB.json prints what it did as JSON."""

import json
import sys

import torch
from peer import evaluate, open_job, open_model, train_client, trainable

job = open_job(sys.argv[1])
model = open_model(job)
shared = {name: value.detach().clone() for name, value in trainable(model).items()}
work = {"trainable": sum(value.numel() for value in shared.values())}
before = evaluate(model, job)


@torch.no_grad()
def load(values):
    for name, parameter in trainable(model).items():
        parameter.copy_(values[name])


for cohort in job.rounds:
    total = sum(client["numExamples"] for client in cohort)
    average = {name: torch.zeros_like(value) for name, value in shared.items()}
    for client in cohort:
        load(shared)
        for name, count in train_client(model, job, client["batches"]).items():
            work[name] = work.get(name, 0) + count
        for name, parameter in trainable(model).items():
            average[name].add_(parameter.detach(), alpha=client["numExamples"] / total)
    shared = average
load(shared)
print(json.dumps({**work, "before": before, "after": evaluate(model, job)}))
