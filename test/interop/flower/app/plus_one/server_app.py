"""Flower's FedAvg over two small arrays; prints what each round got, and the final values."""

import json
import sys

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


class CountingFedAvg(FedAvg):
    """FedAvg that notes how many nodes answered in each round, and how many failed."""

    def __init__(self, **options):
        super().__init__(**options)
        self.rounds = []

    def aggregate_train(self, server_round, replies):
        replies = list(replies)
        failures = sum(reply.has_error() for reply in replies)
        self.rounds.append([len(replies) - failures, failures])
        print(f"ROUND {server_round} {self.rounds[-1]}", flush=True)
        return super().aggregate_train(server_round, replies)


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    fewest = config["min-nodes"]
    strategy = CountingFedAvg(
        min_train_nodes=fewest,
        min_evaluate_nodes=fewest,
        min_available_nodes=fewest,
        fraction_evaluate=config["fraction-evaluate"],
    )
    arrays = ArrayRecord([np.zeros((2, 2), np.float32), np.ones((3,), np.float32)])
    result = strategy.start(grid, arrays, num_rounds=config["rounds"], timeout=300)
    values = [value for array in result.arrays.to_numpy_ndarrays() for value in array.flatten().tolist()]
    print("FINAL", json.dumps({"values": values, "rounds": strategy.rounds}), flush=True)
    sys.stdout.flush()
