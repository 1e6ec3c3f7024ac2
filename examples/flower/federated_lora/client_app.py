"""A node of PyTorch + PEFT: flower-supernode --node-config 'partition-id=2 model="…" data="…" test="…"'."""

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from .base import digest
from .batches import plan_batches
from .peft_model import Node, read_data, sum_of_corrections
from .run_config import VERSION

app = ClientApp()
torch.set_num_threads(1)


@app.query()
def query(message: Message, context: Context) -> Message:
    """Says what the node starts from: hashes of its base and its start, and the start itself if it's wanted."""
    config, node = open_node(message, context)
    start = arrays_of(message) if config["start-by"] == "server" else node.own_start()
    context.state["start"] = record_of(start)
    context.state["corrections"], context.state["applied"] = ArrayRecord(), ConfigRecord({"round": 0})
    hashes = {"base-hash": node.base_hash, "start-hash": digest(start)}
    check_hashes(config, hashes)
    answer = RecordDict({"config": ConfigRecord({"client": client_of(context), **hashes})})
    if config.get("wants-start"):
        answer["arrays"] = record_of(start)
    return Message(answer, reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Trains what the server sent on the node's own data."""
    node, arrays = receive(message, context)
    data = own_data(node, context, "data")
    client = client_of(context)
    loss = node.train(data, plan_batches(len(data), node.config, client))
    values = node.values()
    metrics = {"num-examples": len(data), "train-loss": loss, "bytes-up": size_of(values), "bytes-down": size_of(arrays)}
    answer = {"arrays": record_of(values), "metrics": MetricRecord(metrics), "config": ConfigRecord({"client": client})}
    return Message(RecordDict(answer), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Scores what the server sent on the node's own test data, or on what it trains on where it has none."""
    node, _ = receive(message, context)
    data = own_data(node, context, "test" if "test" in context.node_config else "data")
    scores = node.evaluate(data)
    wanted = {name: scores[name] for name in node.config.get("scores", [])}
    metrics = MetricRecord({"num-examples": len(data), "loss": scores["loss"], **wanted})
    return Message(RecordDict({"metrics": metrics, "config": ConfigRecord({"client": client_of(context)})}), reply_to=message)


def open_node(message, context):
    config = dict(next(iter(message.content.config_records.values())))
    if config.get("federa") != VERSION:
        raise ValueError(f"Cannot take part: the server speaks version {config.get('federa')}, this node {VERSION}; update the older one")
    return config, Node(context.node_config["model"], config)


def receive(message, context):
    """The node's model as the message makes it."""
    config, node = open_node(message, context)
    if "start" not in context.state:
        raise ValueError("Cannot take part: this node hasn't been asked for its start; let the server ask it anew")
    start = {name: array.numpy() for name, array in context.state["start"].items()}
    check_hashes(config, {"base-hash": node.base_hash, "start-hash": digest(start)})
    arrays = arrays_of(message)
    before = {layer: array.numpy() for layer, array in context.state["corrections"].items()}
    corrections, applied = sum_of_corrections(before, arrays, context.state["applied"]["round"])
    context.state["corrections"], context.state["applied"] = record_of(corrections), ConfigRecord({"round": applied})
    node.adapt(start, corrections)
    node.load(arrays)
    return node, arrays


def check_hashes(config, hashes):
    for key, what in (("base-hash", "base model"), ("start-hash", "start")):
        if key in config and config[key] != hashes[key]:
            raise ValueError(
                f"Cannot take part: this node's {what} is {hashes[key][:12]}…, not {config[key][:12]}… as the server's; give it the same weights"
            )


def client_of(context):
    return int(context.node_config["partition-id"])


def own_data(node, context, which):
    return read_data(context.node_config[which], node.config["labels"])


def arrays_of(message):
    return {name: array.numpy() for name, array in next(iter(message.content.array_records.values())).items()}


def record_of(values):
    return ArrayRecord({name: Array(np.ascontiguousarray(value)) for name, value in values.items()})


def size_of(values):
    return sum(value.nbytes for value in values.values())
