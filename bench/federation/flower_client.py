"""The clients of flower_simulation.py, a module of their own so that Ray's processes import it and keep what they have opened."""

from functools import cache

import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from peer import open_job, open_model, train_client, trainable

app = ClientApp()


@cache
def model_of(path):
    """The model of a job; each process opens it once."""
    return open_model(open_job(path))


@torch.no_grad()
def load(model, arrays):
    values = arrays.to_torch_state_dict()
    for name, parameter in trainable(model).items():
        parameter.copy_(values[name])


def arrays_of(model):
    return ArrayRecord({name: value.detach() for name, value in trainable(model).items()})


@app.train()
def train(message, context):
    config = message.content["config"]
    job, model = open_job(config["job"]), model_of(config["job"])
    client = job.rounds[config["round"]][config["place"]]
    load(model, message.content["arrays"])
    work = train_client(model, job, client["batches"])
    metrics = MetricRecord({"num-examples": client["numExamples"], **work})
    return Message(RecordDict({"arrays": arrays_of(model), "metrics": metrics}), reply_to=message)
