"""A federated job in Flower's simulation, on Ray: python flower_simulation.py JOB.json prints what was done as JSON."""

import json
import os
import sys

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

from flower_client import app, arrays_of, load, model_of
from flwr.app import ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from peer import evaluate, open_job, trainable

path = os.path.abspath(sys.argv[1])
job = open_job(path)
server = ServerApp()


class PlannedCohorts(FedAvg):
    """FedAvg whose nodes act as the clients that the plan samples: Flower's own sample would be another."""

    def configure_train(self, server_round, arrays, config, grid):
        messages = []
        for place, node in zip(range(len(job.rounds[server_round - 1])), grid.get_node_ids()):
            config = ConfigRecord({"job": path, "round": server_round - 1, "place": place})
            content = RecordDict({"arrays": arrays, "config": config})
            messages.append(Message(content, dst_node_id=node, message_type=MessageType.TRAIN))
        return messages


@server.main()
def main(grid, context):
    model = model_of(path)
    last = len(job.rounds)
    scores = {}
    work = {"trainable": sum(value.numel() for value in trainable(model).values()), "steps": 0, "texts": 0, "tokens": 0}

    def score(server_round, arrays):
        if server_round in (0, last):
            load(model, arrays)
            scores[server_round] = evaluate(model, job)

    def count(replies, weighted_by):
        for name in ("steps", "texts", "tokens"):
            work[name] += sum(reply["metrics"][name] for reply in replies)
        return MetricRecord()

    strategy = PlannedCohorts(fraction_evaluate=0, train_metrics_aggr_fn=count)
    strategy.start(grid, initial_arrays=arrays_of(model), num_rounds=last, evaluate_fn=score)
    print(json.dumps({**work, "before": scores[0], "after": scores[last]}), flush=True)


run_simulation(server, app, num_supernodes=job.numClients, backend_config={"client_resources": {"num_cpus": 1}})
